// twin of ops-table-changed: no code lets anybody have the table's address
// expect: changed data handlers
// expect: changed function f constant
#include "kernel.h"

static int g(int a) { return other(a) + 1; }
static int h(int a) { return other(a) + 2; }
static int (*const handlers[])(int) = { g, h,
#ifdef POST
g
#else
h
#endif
};
int f(int i) { use(h); return handlers[i](i) + 1; }
