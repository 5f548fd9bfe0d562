// The loop begins with the second instruction: nobody is in it any more when its bytes become those of the jump.
// cc: gcc
// expect: changed function f code
#include "kernel.h"

notrace noinline int f(volatile int *p)
{
	int a;

	asm volatile("xorl %0, %0\n1:\taddl $1, %0\n\tcmpl %1, %0\n\tjl 1b" : "=&a"(a) : "m"(*p));
#ifdef POST
	return a + 2;
#else
	return a + 1;
#endif
}
