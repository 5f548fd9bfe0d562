// twin of type-unnamed-target: the pointer has another name now
// flags: -g
// expect: changed function f code
// expect: note in struct table,
#include "kernel.h"

#ifdef POST
#define SLOTS rows
#else
#define SLOTS slots
#endif
struct table { int count; struct { int key, value; } *SLOTS; };
int f(struct table *t)
{
#ifdef POST
	if (!t->count)
		return 3;
#endif
	return other(t->SLOTS[t->count].key);
}
