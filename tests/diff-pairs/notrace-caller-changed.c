// twin of notrace-changed
// expect: changed function g code
#include "kernel.h"

notrace noinline int f(int a) { return other(a); }
int g(int a)
{
#ifdef POST
	if (!a)
		return 3;
#endif
	return f(a) + 1;
}
