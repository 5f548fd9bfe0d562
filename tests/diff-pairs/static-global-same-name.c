// expect: new function g
#include "kernel.h"

static int state = 3;
int f(void) { return state++; }
#ifdef POST
int g(void) { return state + 1; }
#endif
