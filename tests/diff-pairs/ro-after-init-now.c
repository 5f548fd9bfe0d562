// The running kernel cannot be told to protect it.
// expect: changed function f code
// expect: note x is in
#include "kernel.h"

#ifdef POST
int x __attribute__((section(".data..ro_after_init"))) = 5;
int f(void) { return x + 1; }
#else
int x = 5;
int f(void) { return x; }
#endif
