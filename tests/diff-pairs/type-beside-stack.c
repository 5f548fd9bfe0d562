// twin of type-only-on-stack: what is new is passed beside it
// cc: clang
// flags: -g
// expect: changed function f code
// expect: changed function step code
// expect: note step was int
#include "kernel.h"

struct walk { int depth; };
struct bounds { int limit; };
#ifdef POST
static noinline int step(struct walk *w, struct bounds *b)
{
	if (w->depth > b->limit)
		return -1;
	return other(w->depth++);
}
#else
static noinline int step(struct walk *w) { return other(w->depth++); }
#endif
int f(int a)
{
	struct walk w = { a };
	use(&w);
#ifdef POST
	struct bounds b = { 8 };
	use(&b);
	return step(&w, &b);
#else
	return step(&w);
#endif
}
