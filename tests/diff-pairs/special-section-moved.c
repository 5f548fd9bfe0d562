// The same text at another place.
// expect: note "before=this one" in
#include "kernel.h"

#define INFO(name, text) \
	static const char name[] __attribute__((section(".modinfo"), used)) = text
#ifndef POST
INFO(before, "before=this one");
#endif
INFO(license, "license=GPL");
void f(void) { use(license); }
