// expect: changed function f code
#include "kernel.h"

void acpi_error(const char *module, unsigned line, const char *format, ...);
void f(void)
{
#ifdef POST
	acpi_error("mod", 20, "x %d", 340);
#else
	acpi_error("mod", 20, "x %d", 330);
#endif
}
