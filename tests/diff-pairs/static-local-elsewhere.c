// The same name in another function: a new variable, or the old one that moved?
// cc: gcc
// flags: -g
// expect: changed function f code
// expect: changed function g code
// expect: new data count
// expect: removed data count
// expect: refused ambiguous_data count
#include "kernel.h"

#ifdef POST
int f(void) { return other(1); }
int g(void) { static int count = 5; return ++count; }
#else
int f(void) { static int count = 5; return ++count; }
int g(void) { return other(1); }
#endif
