// flags: -g
// expect: changed function f code
// expect: refused type_changed struct conn
#include "kernel.h"

#ifdef POST
typedef unsigned long mark_t;
#else
typedef unsigned int mark_t;
#endif
struct conn { int state; mark_t mark __attribute__((aligned(8))); long flags; };
int f(struct conn *c) { return other(c->mark >> 8) + c->flags; }
