// expect: refused data_moved x
#include "kernel.h"

int x
#ifdef POST
__attribute__((aligned(64)))
#endif
= 7;
int f(void) { return x++; }
