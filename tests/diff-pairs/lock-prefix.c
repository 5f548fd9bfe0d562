// expect: changed function f code
#include "kernel.h"

int f(int *x)
{
#ifdef POST
	asm volatile("incl %0" : "+m"(*x));
#else
	LOCK_INC(*x);
#endif
	return 0;
}
