// cc: gcc
// flags: -fPIC -mcmodel=small -fjump-tables
// expect: changed function g code
// ".long .L5 - .Ltable", and f moves in the section that it shares.
#include "kernel.h"
#define SHARED __attribute__((section(".text")))
SHARED int g(int a)
{
#ifdef POST
	a += other(a) * 3;
#endif
	return a;
}
SHARED int f(int a)
{
	switch (a) {
	case 0: return other(1);
	case 1: return another(2);
	case 2: return third(33);
	case 3: return other(4) + 9;
	case 4: return another(51) ^ 3;
	case 5: return third(6) * 5;
	}
	return 0;
}
