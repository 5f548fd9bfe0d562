// expect: changed function f code
// Two texts in one special section.
#include "kernel.h"

#define INFO(name, text) \
	static const char name[] __attribute__((section(".modinfo"), used)) = text
INFO(license, "license=GPL");
INFO(alias, "alias=other");
#ifdef POST
void f(void) { use(alias); }
#else
void f(void) { use(license); }
#endif
