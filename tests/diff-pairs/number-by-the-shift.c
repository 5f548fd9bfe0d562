// flags: -g
// expect: changed function f code
// The number changes by exactly as much as its line.
#include "kernel.h"

#ifdef POST
#define TIMES 67
#else
#define TIMES 60
#endif
#if defined POST || defined MOVED
#line 67
#else
#line 60
#endif
void f(void) { another(TIMES); }
void g(int a) { WARN_ON(a == 3); another(a); }
