// expect: changed function f code
// expect: refused unknown_section f
#include "kernel.h"

int f(int a)
{
#ifdef POST
	if (!a)
		return 3;
#endif
	asm volatile("1: nop\n.pushsection my_sites,\"a\"\n.long 1b - .\n.popsection");
	return other(a);
}
int g(int a) { return other(a); }
