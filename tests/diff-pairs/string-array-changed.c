// expect: changed data names
// expect: changed function f constant
#include "kernel.h"

static const char *const names[] = { "a", "b",
#ifdef POST
"z",
#else
"c",
#endif
};
void f(int a) { printk(names[a]); }
