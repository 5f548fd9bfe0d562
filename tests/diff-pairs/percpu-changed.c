// expect: changed data x
// expect: refused data_changed x
#include "kernel.h"

int x __attribute__((section(".data..percpu"))) =
#ifdef POST
8;
#else
7;
#endif
int f(void) { return x++; }
