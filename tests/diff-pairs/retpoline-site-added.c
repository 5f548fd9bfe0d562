// twin of retpoline-sites
// expect: changed function g special
#include "kernel.h"

int f(int a) { return other(a); }
int g(int a)
{
#ifdef POST
	asm volatile("1: nop\n.pushsection .retpoline_sites,\"a\"\n.long 1b - .\n.popsection");
#else
	asm volatile("nop");
#endif
	return other(a);
}
