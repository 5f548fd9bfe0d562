// cc: gcc
// flags: -fPIC -mcmodel=small -fjump-tables
// expect: changed function f constant
// The twin of switch-relative-table.c: one case goes to the code of another.
#include "kernel.h"
#define SHARED __attribute__((section(".text")))
SHARED int f(int a)
{
	switch (a) {
	case 0: return other(1);
	case 1: return another(2);
	case 2: return third(33);
	case 3: return other(4) + 9;
#ifdef POST
	case 5:
#endif
	case 4: return another(51) ^ 3;
#ifndef POST
	case 5:
#endif
	case 6: return third(6) * 5;
	}
	return 0;
}
