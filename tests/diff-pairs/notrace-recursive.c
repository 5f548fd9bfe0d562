// It calls itself at its entry, which is where a jump will be: a call like any other.
// expect: changed function f code
#include "kernel.h"

notrace noinline int f(int a)
{
#ifdef POST
	if (a == 6)
		return 3;
#endif
	return a > 1 ? f(other(a)) + f(other(a + 1)) : a;
}
