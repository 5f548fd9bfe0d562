// flags: -g
// expect: changed function f code
// expect: refused type_changed struct conn
#include "kernel.h"

struct conn {
	int state;
#ifdef POST
	int extra;
#endif
	long flags;
};
extern struct conn *conns;
int f(struct conn *c)
{
#ifdef POST
	if (!c->state)
		return 3;
#endif
	return other(c->state) + c->flags + conns->flags;
}
