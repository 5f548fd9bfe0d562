// Only local variables are of the type, and all that know it are replaced together. But whether one is
// copied to live memory, debug information does not say.
// cc: clang
// flags: -g
// expect: changed function f code
// expect: changed function step code
// expect: refused type_changed struct walk
#include "kernel.h"

struct walk {
	int depth;
#ifdef POST
	int limit;
#endif
};
static noinline int step(struct walk *w)
{
#ifdef POST
	if (w->depth > w->limit)
		return -1;
#endif
	return other(w->depth++);
}
int f(int a)
{
	struct walk w = { a
#ifdef POST
, 8
#endif
	};
	use(&w);
	return step(&w);
}
