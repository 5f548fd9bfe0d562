// cc: clang
// expect: new data e.count
// expect: new function e
#include "kernel.h"

#ifdef POST
int e(void) { static int count; return ++count + other(3); }
#endif
int f(void) { static int count; return ++count; }
int g(void) { static int count; return count += 2; }
