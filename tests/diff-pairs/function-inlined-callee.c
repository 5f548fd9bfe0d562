// cc: gcc
// flags: -g
// expect: changed function f inlined
#include "kernel.h"

static inline __attribute__((always_inline)) int g(int a)
{
#ifdef POST
	if (a == 3)
		return 0;
#endif
	return other(a);
}
int f(int a) { return g(a) + 1; }
