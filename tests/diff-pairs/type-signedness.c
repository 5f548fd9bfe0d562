// flags: -g
// expect: changed function f code
// expect: note in struct conn,
#include "kernel.h"

struct conn {
	int state;
#ifdef POST
	unsigned long name;
#else
	long name;
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
