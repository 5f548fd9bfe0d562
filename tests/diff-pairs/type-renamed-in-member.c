// twin of type-renamed: what uses it is a member of another type, which another function has
// flags: -g
// expect: changed function g code
// expect: refused type_changed struct young
#include "kernel.h"

#ifdef POST
struct young { int b, a; };
struct conn { struct young *peers[2]; };
#else
struct old { int a, b; };
struct conn { struct old *peers[2]; };
#endif
int g(struct conn *c) { return other(c->peers[0]->a); }
