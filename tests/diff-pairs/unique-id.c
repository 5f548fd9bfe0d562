#include "kernel.h"

#ifdef POST
static int __UNIQUE_ID_x901 __attribute__((used)) = 1;
#else
static int __UNIQUE_ID_x807 __attribute__((used)) = 1;
#endif
int f(int a) { return other(a); }
