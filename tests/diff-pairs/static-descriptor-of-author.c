// An author's own variable, whatever its name, is live state: never a fresh copy of it.
// expect: changed data descriptor
// expect: refused data_changed descriptor
#include "kernel.h"

static struct { int length, type; } descriptor = { 18,
#ifdef POST
2
#else
1
#endif
};
int f(void) { descriptor.length++; return descriptor.type++; }
