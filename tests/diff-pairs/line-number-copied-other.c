// cc: gcc
// expect: changed function f code
// The twin of line-function-copied.c: what is copied is no name.
#include "kernel.h"
#ifdef POST
#line 100


#endif
static int table[4];
void f(void)
{
	asm volatile("mov %0,%%r9; mov %1,%%ecx; mov %%r9,%%rdx; call other"
		     : : "i"(table), "i"(__LINE__) : "memory");
}
