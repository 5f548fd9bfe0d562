// expect: changed function f code
// expect: removed data y
// expect: note y is not
#include "kernel.h"

#ifndef POST
int y = 7;
#endif
int x = 5;
int f(void)
{
#ifndef POST
	y += 2;
#endif
	return x++;
}
