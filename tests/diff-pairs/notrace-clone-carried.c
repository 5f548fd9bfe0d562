// made by the compiler: all its callers are replaced
// cc: gcc
// expect: changed function g callee
// expect: changed function h callee
// expect: new function f.constprop code carried
#include "kernel.h"

static notrace noinline int f(int a, int b)
{
	int i, r = 0;
#ifdef POST
	if (a == 6)
		return 3;
#endif
	for (i = 0; i < a; i++)
		r += other(b + i);
	return r;
}
int g(int a) { return f(a, 3) + 1; }
int h(int a) { return f(a + 4, 3); }
