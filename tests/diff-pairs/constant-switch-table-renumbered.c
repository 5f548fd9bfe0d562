// cc: gcc
// expect: new data CSWTCH
// expect: new function e
#include "kernel.h"

#ifdef POST
int e(int a)
{
	switch (a) {
	case 0: return 1;
	case 1: return 17;
	case 2: return 3;
	case 3: return 9;
	case 4: return 96;
	}
	return 1;
}
#endif
int f(int a)
{
	switch (a) {
	case 0: return 11;
	case 1: return 7;
	case 2: return 13;
	case 3: return 19;
	case 4: return 6;
	}
	return 1;
}
