// cc: gcc
// expect: changed data limit
// expect: refused data_changed limit
#include "kernel.h"

int f(int a)
{
	static int limit =
#ifdef POST
6;
#else
5;
#endif
	return limit += a;
}
