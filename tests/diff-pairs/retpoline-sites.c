// A site that objtool lists moves with the code around it.
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
	asm volatile("1: nop\n.pushsection .retpoline_sites,\"a\"\n.long 1b - .\n.popsection");
	return other(a);
}
