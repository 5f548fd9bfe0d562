// cc: gcc
// expect: changed function f code
#include "kernel.h"

int f(int a)
{
	if (a) {
		static int n = 1;
		return n++;
	} else {
		static int n = 1;
#ifdef POST
		other(a);
#endif
		return n += 2;
	}
}
