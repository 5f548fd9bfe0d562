// cc: gcc
// expect: changed function f code
// What is in the register is used before the line and the name are loaded.
#include "kernel.h"

int complain(const char *where, int line);
#ifdef POST
#define BYTES "$48"
#else
#define BYTES "$40"
#endif
int f(int *p, int a)
{
	asm volatile("mov " BYTES ",%%esi; mov %%esi,4(%0)" : : "r"(p) : "esi", "memory");
	return a ? complain(__func__, 700) + 1 : 0;
}
