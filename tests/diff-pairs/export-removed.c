// expect: refused export_changed f
#include "kernel.h"

int f(int a) { return other(a); }
#ifndef POST
EXPORT(f, "");
#endif
