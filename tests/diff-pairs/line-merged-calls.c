#include "kernel.h"

void fail(const char *file, int line) __attribute__((noreturn));
#if defined POST || defined MOVED
#line 340 "fs/x.c"
#else
#line 330 "fs/x.c"
#endif
int f(int a, int b)
{
	if (a == 3)
		fail(__FILE__, __LINE__);
	if (b == 4)
		fail(__FILE__, __LINE__);
	return other(a + b);
}
