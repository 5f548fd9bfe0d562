// expect: refused data_moved x
#include "kernel.h"

int x
#ifdef POST
__attribute__((section(".data..percpu")))
#endif
= 7;
int f(void) { return x++; }
