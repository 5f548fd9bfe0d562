// explicit zeros and bss are the same value
// cc: gcc
#include "kernel.h"

#ifdef POST
int x __attribute__((section(".data.x"))) = 0;
#else
int x;
#endif
int f(void) { return x++; }
