// Also of kernels with FineIBT.
// expect: changed function f code
#include "kernel.h"

int f(int a)
{
#ifdef POST
	if (!a)
		return 3;
#endif
	return other(a);
}
int g(int a)
{
	asm volatile("1: nop\n.pushsection .cfi_sites,\"a\"\n.long 1b - .\n.popsection");
	return other(a);
}
