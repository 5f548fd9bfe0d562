// expect: refused export_added f
#include "kernel.h"

int f(int a) { return other(a); }
#ifdef POST
EXPORT64(f, "GPL");
#endif
