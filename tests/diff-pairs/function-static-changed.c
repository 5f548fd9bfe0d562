// the caller of a changed function is not changed by that
// expect: changed function g code
#include "kernel.h"

static noinline int g(int a)
{
#ifdef POST
	if (a == 3)
		return 0;
#endif
	return other(a);
}
int f(int a) { return g(a) + 1; }
