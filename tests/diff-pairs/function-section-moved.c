// hot and cold sections are no difference
#include "kernel.h"

#ifdef POST
__attribute__((section(".text.unlikely.f")))
#endif
int f(int a) { return other(a) + 1; }
