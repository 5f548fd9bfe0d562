// live objects point to a table of functions
// expect: changed data ops
// expect: refused data_changed ops
#include "kernel.h"

static int g(int a) { return other(a) + 1; }
static int h(int a) { return other(a) + 2; }
static const struct ops { int (*a)(int), (*b)(int); } ops = { g,
#ifdef POST
g
#else
h
#endif
};
void f(void) { use(&ops); use(h); }
