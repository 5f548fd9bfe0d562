// flags: -g
// expect: changed function f code
#include "kernel.h"

#ifdef POST
#define RESULT 23
#else
#define RESULT 21
#endif
#line 20
int f(int a)
{
	if (other(a))
		return RESULT;
	another(a);
	return 1;
}
