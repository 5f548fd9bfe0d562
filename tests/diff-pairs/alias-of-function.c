// the other way round: what calls g runs its old code
// expect: removed function g
// expect: refused alias_changed g
#include "kernel.h"

int f(int a) { return other(a); }
#ifdef POST
int g(int a) __attribute__((alias("f")));
#else
int g(int a) { return another(a); }
#endif
