// Each function's record of its padding goes with it.
// cc: gcc
// flags: -fpatchable-function-entry=16,16
// expect: new function e
#include "kernel.h"

#ifdef POST
int e(int a) { return another(a); }
#endif
int f(int a) { return other(a); }
int g(int a) { return f(a) + 1; }
