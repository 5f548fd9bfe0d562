// A processor that is offline sleeps in that loop, and is not asked when the jump is written over its beginning.
// cc: gcc
// expect: changed function own_play_dead code
// expect: refused no_ftrace_site own_play_dead
#include "kernel.h"

notrace noinline int own_play_dead(volatile int *p)
{
	int a;

	asm volatile("xorl %0, %0\n1:\taddl $1, %0\n\tcmpl %1, %0\n\tjl 1b" : "=&a"(a) : "m"(*p));
#ifdef POST
	return a + 2;
#else
	return a + 1;
#endif
}
