// filling before an aligned loop follows the start of its function, which its neighbour's change moved
// expect: changed function g code
#include "kernel.h"

#define sched __attribute__((section(".sched.text"), aligned(16)))
sched noinline int g(int a)
{
#ifdef POST
	asm volatile(".skip 16, 0x58"); // 16 times pop %rax
#endif
	return other(a);
}
sched int f(int a)
{
	while (a > 3) {
		asm volatile(".p2align 5");
		a = other(a + 1);
	}
	return a;
}
