// flags: -g
// expect: refused data_moved x
#include "kernel.h"

#define SHARED __attribute__((section(".data..read_mostly")))

#ifdef POST
typedef unsigned long word __attribute__((aligned(16)));
#else
typedef unsigned long word;
#endif

SHARED int beside = 3;
SHARED word x = 7;
unsigned long f(void) { return x++ + beside; }
