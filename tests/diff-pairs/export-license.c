// expect: refused export_changed f
#include "kernel.h"

int f(int a) { return other(a); }
#ifdef POST
EXPORT(f, "_gpl");
#else
EXPORT(f, "");
#endif
