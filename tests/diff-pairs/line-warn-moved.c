// expect: changed function f code
#include "kernel.h"

int f(int a)
{
#ifdef POST
	WARN_ON(a == 4);
#else
	WARN_ON(a == 3);
#endif
	return other(a);
}
