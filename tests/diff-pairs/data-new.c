// expect: changed function f code
// expect: new data y
#include "kernel.h"

#ifdef POST
int y = 7;
#endif
int x = 5;
int f(void)
{
#ifdef POST
	y += 2;
#endif
	return x++;
}
