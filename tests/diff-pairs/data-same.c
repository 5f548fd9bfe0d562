// twin of data-initial-value
// expect: changed function f code
#include "kernel.h"

int x = 5;
int f(int a)
{
#ifdef POST
	if (!a)
		return 0;
#endif
	return x++;
}
