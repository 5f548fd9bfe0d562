// expect: changed function f code
// expect: refused static_call __SCK__x
#include "kernel.h"

struct key { void *f; } __SCK__x __attribute__((section(".data..ro_after_init")));
int f(int x)
{
#ifdef POST
	if (x == 3)
		return 0;
#endif
	asm volatile("1: call __SCT__x\n.pushsection .static_call_sites,\"aw\"\n.long 1b - .\n.long __SCK__x - .\n.popsection");
	return x;
}
