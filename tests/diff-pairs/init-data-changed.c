// expect: changed data x
// expect: refused init_changed x
#include "kernel.h"

int x __attribute__((section(".init.data"))) =
#ifdef POST
6;
#else
5;
#endif
int f(int a) { return other(a); }
