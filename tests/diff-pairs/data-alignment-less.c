#include "kernel.h"

int x
#ifndef POST
__attribute__((aligned(64)))
#endif
= 7;
int f(void) { return x++; }
