// expect: new function g
// expect: refused alias_changed g
#include "kernel.h"

int f(int a) { return other(a); }
#ifdef POST
int g(int a) { return another(a); }
#else
int g(int a) __attribute__((alias("f")));
#endif
