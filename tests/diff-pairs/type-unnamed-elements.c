// An array of structures without a name, in one with a name.
// flags: -g
// expect: changed function f code
// expect: refused type_changed struct table
#include "kernel.h"

struct table {
	int count;
#ifdef POST
	struct { int value, key; } slots[];
#else
	struct { int key, value; } slots[];
#endif
};
int f(struct table *t) { return other(t->slots[t->count].key); }
