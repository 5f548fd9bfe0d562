// expect: new function g
#include "kernel.h"

#ifdef POST
noinline int g(int a) { return other(a); }
#endif
int f(int a) { return other(a) + 1; }
