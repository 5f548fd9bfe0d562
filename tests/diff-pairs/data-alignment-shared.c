// flags: -g
// expect: refused data_moved x
#include "kernel.h"

#define SHARED __attribute__((section(".data..read_mostly")))

SHARED int beside = 3;
SHARED int x
#ifdef POST
__attribute__((aligned(64)))
#endif
= 7;
int f(void) { return x++ + beside; }
