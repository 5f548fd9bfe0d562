// twin of notrace-clone-carried: data points to it
// cc: gcc
// expect: changed function f code
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
int (*p)(int, int) = f;
int g(int a) { return f(a, 3) + 1; }
