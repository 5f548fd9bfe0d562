// expect: refused export_changed f
#include "kernel.h"

int f(int a) { return other(a); }
EXPORT(f, "");
#ifdef POST
CRC(f, 0x12345679);
#else
CRC(f, 0x12345678);
#endif
