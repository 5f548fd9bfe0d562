// expect: refused alias_changed g
#include "kernel.h"

int f(int a) { return other(a); }
int h(int a) { return another(a); }
#ifdef POST
int g(int a) __attribute__((alias("h")));
#else
int g(int a) __attribute__((alias("f")));
#endif
