// twin of enum-inserted
// flags: -g
// expect: changed function f code
#include "kernel.h"

enum state {
	IDLE,
	BUSY,
#ifdef POST
	WAITING,
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
