// expect: changed function f code
#include "kernel.h"

int f(int a)
{
#ifdef POST
	if (!a)
		return 0;
#endif
	return other(a);
}
int g(int a) __attribute__((alias("f")));
