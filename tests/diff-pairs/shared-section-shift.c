// calls within a section, resolved by the assembler, move with the code
// expect: changed function g code
#include "kernel.h"

#define sched __attribute__((section(".sched.text")))
sched noinline int g(int a)
{
#ifdef POST
	if (a == 5)
		return 9;
#endif
	return other(a);
}
sched int f(int a) { return g(a) + 1; }
sched int h(int a) { return g(a) + 2; }
