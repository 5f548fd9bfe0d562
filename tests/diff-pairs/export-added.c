// expect: refused export_added f
#include "kernel.h"

int f(int a) { return other(a); }
#ifdef POST
EXPORT(f, "");
#endif
