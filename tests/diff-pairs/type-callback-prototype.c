// Live objects hold functions of the old prototype: theirs are the patch's concern.
// flags: -g
// expect: changed function f code
// expect: note in struct conn,
#include "kernel.h"

#ifdef POST
struct conn { int (*call)(int, long); };
int f(struct conn *c) { return c->call(1, 2); }
#else
struct conn { int (*call)(int); };
int f(struct conn *c) { return c->call(1); }
#endif
