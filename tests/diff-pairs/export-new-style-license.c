// expect: refused export_changed f
#include "kernel.h"

int f(int a) { return other(a); }
#ifdef POST
EXPORT64(f, "GPL");
#else
EXPORT64(f, "");
#endif
