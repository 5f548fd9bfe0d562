// expect: changed function f code
#include "kernel.h"

__attribute__((weak)) int f(int a)
{
#ifdef POST
	if (!a)
		return 0;
#endif
	return other(a);
}
