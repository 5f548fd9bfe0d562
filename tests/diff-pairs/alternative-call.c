// expect: changed function f special
#include "kernel.h"

int f(int x)
{
#ifdef POST
	ALTERNATIVE("call other", "call another", 37);
#else
	ALTERNATIVE("call other", "call third", 37);
#endif
	return x;
}
