// Live objects hold the old values.
// flags: -g
// expect: changed function f code
// expect: refused type_changed enum state
#include "kernel.h"

enum state {
	IDLE,
#ifdef PROPOSED
	WAITING = 2,
	BUSY = 1,
#elif defined(POST)
	WAITING,
	BUSY,
#else
	BUSY,
#endif
};
struct conn { enum state state; };
int f(struct conn *c)
{
#ifdef POST
	if (c->state == WAITING)
		return other(2);
#endif
	return c->state == BUSY ? other(1) : 0;
}
