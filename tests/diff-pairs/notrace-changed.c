// clang has no -mrecord-mcount: there it is refused
// cc: gcc
// expect: changed function f code
#include "kernel.h"

notrace noinline int f(int a)
{
#ifdef POST
	if (!a)
		return 3;
#endif
	return other(a);
}
int g(int a) { return f(a) + 1; }
