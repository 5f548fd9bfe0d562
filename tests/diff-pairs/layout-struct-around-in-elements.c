// What the table has at that place says nothing of its slots.
// flags: -g
// expect: changed function f code
// expect: refused type_changed struct table
#include "kernel.h"

struct key { int low, high; };
struct table {
	int low, high;
#ifdef POST
	struct { struct key key; long value; } *slots;
#define LOW key.low
#else
	struct { int other_low, other_high; long value; } *slots;
#define LOW other_low
#endif
};
int f(struct table *t)
{
#ifdef POST
	if (!t->slots)
		return 0;
#endif
	return other(t->slots[t->low].LOW) + t->high;
}
