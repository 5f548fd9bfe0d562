// flags: -g
// expect: changed function f code
#include "kernel.h"

#ifdef POST
#define TURNS 43
#else
#define TURNS 42
#endif
#line 41
void f(void)
{
	for (int i = TURNS; i; i--)
		other(i);
}
