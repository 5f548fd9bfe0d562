// cc: gcc
// The function's name reaches its argument by way of another register, as in arfs_disable of 6.1's mlx5.
#include "kernel.h"
#ifdef POST
#line 100

#endif
void f(void)
{
	asm volatile("mov %0,%%r9; mov %1,%%ecx; mov %%r9,%%rdx; call other"
		     : : "i"(__func__), "i"(__LINE__) : "memory");
}
