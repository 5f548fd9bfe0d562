// expect: changed function f code
#include "kernel.h"

void f(int a)
{
	other(a);
#ifndef POST
	asm volatile("int3");
#endif
	another(a);
}
