// cc: gcc
// expect: changed function f constant
// expect: new data CSWTCH
// expect: removed data CSWTCH
#include "kernel.h"

int f(int a)
{
	switch (a) {
	case 0: return 11;
	case 1: return 7;
	case 2: return 13;
	case 3: return 19;
	case 4:
#ifdef POST
		return 5;
#else
		return 6;
#endif
	case 5: return 77;
	}
	return 1;
}
