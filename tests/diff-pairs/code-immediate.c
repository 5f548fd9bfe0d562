// expect: changed function f code
#include "kernel.h"

int f(int a)
{
#ifdef POST
	return other(a + 1000);
#else
	return other(a + 1001);
#endif
}
