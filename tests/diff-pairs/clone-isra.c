// cc: gcc
// expect: changed function g.isra code
#include "kernel.h"

struct big { int a, b, c[20]; };
static noinline int g(struct big *p)
{
#ifdef POST
	if (p->a == 4)
		return 7;
#endif
	return other(p->a);
}
int f(struct big *p) { return g(p) + 1; }
int h(struct big *p) { return g(p) + 2; }
