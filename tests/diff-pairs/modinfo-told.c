// A module's file on the disk keeps its own.
// expect: note "a=1" in .modinfo
// expect: note "a=2" in .modinfo
#include "kernel.h"

int f(int a) { return other(a); }
#ifdef POST
static const char info[] __attribute__((section(".modinfo"), used)) = "a=2";
#else
static const char info[] __attribute__((section(".modinfo"), used)) = "a=1";
#endif
