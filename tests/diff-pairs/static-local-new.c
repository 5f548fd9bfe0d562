// cc: gcc
// expect: changed function f code
// expect: new data calls
#include "kernel.h"

int f(int a)
{
#ifdef POST
	static int calls;
	if (++calls > 5)
		return 0;
#endif
	return other(a);
}
