// flags: -g
// expect: changed function f code
// expect: refused type_changed struct conn
#include "kernel.h"

struct conn { unsigned a : 3,
#ifdef POST
b : 5,
#else
b : 4,
#endif
c : 2; };
extern struct conn *conns;
int f(struct conn *c) { return other(c->c) + conns->b; }
