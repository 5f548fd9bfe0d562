// a function that became static is the same function
#include "kernel.h"

#ifdef POST
static noinline int g(int a)
#else
noinline int g(int a)
#endif
{ return other(a) + other(a + 1); }
int f(int a) { return g(a) + g(a + 2); }
