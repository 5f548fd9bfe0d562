// Old code has room for ten.
// flags: -g
// expect: changed function f code
// expect: refused type_changed struct conn
#include "kernel.h"

struct conn {
	int users;
#ifdef POST
	char name[12];
#else
	char name[10];
#endif
	int flags;
};
int f(struct conn *c) { return other(c->name[sizeof(c->name) - 1]) + c->flags; }
