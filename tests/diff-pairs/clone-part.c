// The part that the compiler splits off for one caller (partial inlining) changed with its function.
// cc: gcc
// flags: -fpartial-inlining
// expect: changed function g.part code
#include "kernel.h"

static int g(int *p)
{
	if (!p)
		return 0;
#ifdef POST
	other(6);
#endif
	printk("%d", *p);
	other(*p);
	another(*p);
	third(*p);
	for (int i = 0; i < *p; i++)
		use(p + i);
	return other(1) + another(2) + third(3);
}
int f(int *p) { return g(p) + 1; }
int h(int *p) { return g(p) + 2; }
