// expect: changed function f special
#include "kernel.h"

int f(int x)
{
#ifdef POST
	PARAVIRT(5);
#else
	PARAVIRT(4);
#endif
	return x;
}
