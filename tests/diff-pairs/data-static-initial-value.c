// expect: changed data x
// expect: refused data_changed x
#include "kernel.h"

static int x =
#ifdef POST
6;
#else
5;
#endif
int f(void) { return x++; }
