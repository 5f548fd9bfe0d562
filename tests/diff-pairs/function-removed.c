// expect: removed function g
#include "kernel.h"

#ifndef POST
int g(int a) { return other(a); }
#endif
int f(int a) { return other(a) + 1; }
