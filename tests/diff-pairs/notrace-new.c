// expect: changed function g code
// expect: new function f
#include "kernel.h"

#ifdef POST
notrace noinline int f(int a) { return other(a); }
#else
int f(int a);
#endif
int g(int a)
{
#ifdef POST
	if (!a)
		return f(a);
#endif
	return other(a) + 1;
}
