// cc: gcc
// expect: changed function f code
// expect: changed function g code
#include "kernel.h"

static int counter(void) { static int count = 5; return ++count; }
#ifdef POST
int f(void) { return other(1); }
int g(void) { return counter(); }
#else
int f(void) { return counter(); }
int g(void) { return other(1); }
#endif
