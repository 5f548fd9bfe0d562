// A jump at the entry would be in a loop of the function's own: its first instruction is the loop's.
// cc: gcc
// expect: changed function f code
// expect: refused no_ftrace_site f
#include "kernel.h"

notrace noinline int f(volatile int *p)
{
	while (*p)
		;
#ifdef POST
	return 2;
#else
	return 1;
#endif
}
