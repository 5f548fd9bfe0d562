// Live objects hold the old values.
// flags: -g
// expect: changed function f code
// expect: refused type_changed enum state
#include "kernel.h"

enum state {
	IDLE,
#ifdef POST
	WAITING,
#endif
	BUSY,
};
struct conn { enum state state; };
int f(struct conn *c) { return c->state == BUSY ? other(1) : 0; }
