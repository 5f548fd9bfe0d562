// What live objects hold in bits that nobody used is not known.
// flags: -g
// expect: changed function f code
// expect: refused type_changed struct conn
#include "kernel.h"

struct conn {
	unsigned up : 1, down : 1;
#ifdef POST
	unsigned dead : 1;
#endif
	long flags;
};
int f(struct conn *c)
{
#ifdef POST
	if (c->dead)
		return 0;
#endif
	return other(c->up) + c->flags;
}
