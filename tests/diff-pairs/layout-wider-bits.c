// twin of layout-fills-bits: old code would see half of a value after an undo
// flags: -g
// expect: changed function f code
// expect: refused type_changed struct conn
#include "kernel.h"

struct conn {
#ifdef POST
	unsigned state : 3;
#else
	unsigned state : 2;
#endif
	long flags;
};
int f(struct conn *c) { return other(c->state) + c->flags; }
