// expect: changed function f code
#include "kernel.h"

int f(int a)
{
#ifdef POST
	return another(a) + 1;
#else
	return other(a) + 1;
#endif
}
