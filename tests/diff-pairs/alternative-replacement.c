// expect: changed function f special
#include "kernel.h"

int f(int x)
{
#ifdef POST
	ALTERNATIVE("nopl 8(%%rax)", "lfence; nop", 37);
#else
	ALTERNATIVE("nopl 8(%%rax)", "mfence; nop", 37);
#endif
	return other(x);
}
