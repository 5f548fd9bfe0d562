// expect: changed function f code
#include "kernel.h"

int f(int x)
{
#ifdef POST
	FIXUP_LOAD(x, 14);
#else
	FIXUP_LOAD(x, 12);
#endif
	return x;
}
