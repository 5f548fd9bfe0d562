// twin of the alternative ones: offsets in the replacement section move
// expect: new function e
#include "kernel.h"

#ifdef POST
int e(int x) { ALTERNATIVE("nopl 8(%%rax)", "lfence; nop", 37); return x; }
#endif
int f(int x)
{
	ALTERNATIVE("call other", "call another", 37);
	return other(x);
}
