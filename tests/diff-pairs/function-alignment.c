#include "kernel.h"

#ifdef POST
__attribute__((aligned(64)))
#endif
int f(int a) { return other(a) + 1; }
int g(int a) { return other(a) + 2; }
