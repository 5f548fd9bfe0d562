#include "kernel.h"

void acpi_error(const char *module, unsigned line, const char *format, ...);
#if defined POST || defined MOVED
#line 340 "fs/x.c"
#else
#line 330 "fs/x.c"
#endif
void f(int a) { acpi_error("mod", __LINE__, "x %d", a); }
