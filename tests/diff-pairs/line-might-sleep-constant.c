// twin of line-might-sleep: a number that is no line
// expect: changed function f code
#include "kernel.h"

void might_nap(const char *file, int line);
int f(int a)
{
#ifdef POST
	might_nap("x", 340);
#else
	might_nap("x", 330);
#endif
	return other(a);
}
