// expect: changed function f code
// expect: refused data_moved x
#include "kernel.h"

/* gcc takes a static variable that nobody writes for a constant by itself. */
#ifdef POST
static int x[4];
int f(int i) { x[i]++; return other(*(volatile int *)&x[i]); }
#else
static const int x[4];
int f(int i) { return other(*(volatile int *)&x[i]); }
#endif
