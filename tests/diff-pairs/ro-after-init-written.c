// expect: changed function f code
// expect: refused data_moved x
#include "kernel.h"

#ifdef POST
int x = 5;
int f(void) { return ++x; }
#else
int x __attribute__((section(".data..ro_after_init"))) = 5;
int f(void) { return x; }
#endif
