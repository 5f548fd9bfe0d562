// expect: changed function f code
#include "kernel.h"

int f(int a)
{
#ifdef POST
	if (a < 0)
		return -22;
#endif
	return other(a);
}
