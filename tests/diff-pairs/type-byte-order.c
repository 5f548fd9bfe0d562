// Another typedef of the same shape is no change of layout. What it means may be another thing.
// flags: -g
// expect: changed function f code
// expect: note in struct conn,
#include "kernel.h"

typedef unsigned short u16;
typedef u16 __be16;
#ifdef POST
struct conn { u16 port, id; };
int f(struct conn *c) { return other(c->port) + c->id; }
#else
struct conn { __be16 port; u16 id; };
int f(struct conn *c) { return other(__builtin_bswap16(c->port)) + c->id; }
#endif
