// Without CRCs (no CONFIG_MODVERSIONS), the debug information says it.
// flags: -g
// expect: changed function f code
// expect: refused export_changed f
#include "kernel.h"

#ifdef POST
int f(int a, long b) { return other(a) + b; }
#else
int f(int a) { return other(a); }
#endif
EXPORT(f, "");
