#include "kernel.h"

#ifdef POST
int g(int a) { return other(a) + 2; }
int f(int a) { return other(a) + 1; }
#else
int f(int a) { return other(a) + 1; }
int g(int a) { return other(a) + 2; }
#endif
