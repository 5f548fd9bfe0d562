// twin of type-only-on-stack: a local variable points to one that may be anywhere
// cc: clang
// flags: -g
// expect: changed function f code
// expect: changed function g code
// expect: refused type_changed struct walk
#include "kernel.h"

struct walk {
#ifdef POST
	int limit;
#endif
	int depth;
};
int f(int a)
{
	struct walk w = { a };
	use(&w);
	return other(w.depth);
}
int g(void **private)
{
	struct walk *w = *private;
	return other(w->depth);
}
