// flags: -g
// expect: changed function f code
// Both numbers are lines of f.
#include "kernel.h"

#ifdef POST
#define MODE 13
#else
#define MODE 12
#endif
#line 11
void f(int a)
{
	other(a);
	another(MODE);
	third(a);
}
