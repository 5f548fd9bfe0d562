// cc: gcc
// expect: changed function f code
#include "kernel.h"

#ifdef POST
int f(int a) { return other(a) + 5; }
#else
int f(int a) { return other(a) + 4; }
#endif
static noinline int g(int a, int b) { int i, r = 0; for (i = 0; i < a; i++) r += other(b + i); return r; }
int h(int a) { return g(a, 3); }
int k(int a) { return g(a + 1, 3); }
