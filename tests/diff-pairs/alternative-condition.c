// expect: changed function f special
// A branch inside a replacement: the condition counts.
#include "kernel.h"

#ifdef POST
#define JUMP "jne"
#else
#define JUMP "je"
#endif
int f(int a)
{
	ALTERNATIVE("nopl 0(%%rax,%%rax); nop", JUMP " 9f; xor %%eax, %%eax; 9:", 123);
	return other(a);
}
