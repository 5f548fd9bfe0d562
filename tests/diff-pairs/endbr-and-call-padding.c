// cc: gcc
// flags: -fpatchable-function-entry=16,16 -fcf-protection=branch
// expect: new function e
#include "kernel.h"

noinline int f(int a) { return other(a); }
#ifdef POST
int e(int a) { return f(a) + 3; }
#endif
int g(int a) { return f(a) + 1; }
