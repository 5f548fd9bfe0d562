#include "kernel.h"

int f(int a) { return other(a); }
#ifdef POST
static const char info[] __attribute__((section(".modinfo"), used)) = "a=2";
#else
static const char info[] __attribute__((section(".modinfo"), used)) = "a=1";
#endif
