// flags: -g
// expect: changed function f code
// expect: refused type_changed struct conn
#include "kernel.h"

struct conn {
#ifdef POST
	long b, a;
#else
	long a, b;
#endif
};
extern struct conn *conns;
int f(struct conn *c) { return other(c->a) + conns->b; }
