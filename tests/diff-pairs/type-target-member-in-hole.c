// twin of type-member-in-hole, in what a pointer leads to: that the table has a like member at that
// place says nothing of the slots
// flags: -g
// expect: changed function f code
// expect: refused type_changed struct table
#include "kernel.h"

#ifdef POST
struct table { struct { long key; int value, more; } *slots; int count, used; };
#define MORE more
#else
struct table { struct { long key; int value; } *slots; int count, used; };
#define MORE value
#endif
int f(struct table *t) { return other(t->slots[t->count].MORE) + t->used; }
