// expect: changed function f special
#include "kernel.h"

int f(int x)
{
	int error = 0;
#ifdef POST
	EX_LOAD(x, error, 3);
#else
	EX_LOAD(x, error, 1);
#endif
	return x + error;
}
