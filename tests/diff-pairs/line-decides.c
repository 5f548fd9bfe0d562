// cc: gcc
// flags: -g
// expect: refused moved_differs f
// What functions there are depends on a line number.
#include "kernel.h"

#if defined POST || defined MOVED
#line 340
#else
#line 330
#endif
#if __LINE__ > 335
int g(int a) { return another(a); }
#endif
int f(int a) { return other(a); }
