// expect: changed function f special
#include "kernel.h"

struct key { void *f; } a, b;
int f(int x)
{
	asm volatile("1: call __SCT__x\n.pushsection .static_call_sites,\"aw\"\n.long 1b - .\n.long %c0 - .\n.popsection" :: "i"(
#ifdef POST
&b
#else
&a
#endif
));
	return x;
}
