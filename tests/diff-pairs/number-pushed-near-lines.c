// cc: gcc
// flags: -g
// expect: changed function f code
#include "kernel.h"

int seventh(long, long, long, long, long, long, long);
#ifdef POST
#define SEVENTH 82
#else
#define SEVENTH 81
#endif
#line 80
int f(void)
{
	return seventh(6, 5, 4, 3, 2, 1, SEVENTH) + 1;
}
