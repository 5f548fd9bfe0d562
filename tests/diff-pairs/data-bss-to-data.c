// expect: changed data x
// expect: refused data_changed x
#include "kernel.h"

#ifdef POST
int x = 6;
#else
int x;
#endif
int f(void) { return x++; }
