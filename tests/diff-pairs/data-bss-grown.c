// expect: changed data x
// expect: refused data_resized x
#include "kernel.h"

#ifdef POST
int x[4];
#else
int x[3];
#endif
int f(int a) { return x[a]++; }
