// flags: -g
// expect: changed function f code
#include "kernel.h"

#define SHARED __attribute__((section(".data..read_mostly")))

SHARED int beside = 3;
SHARED int x __attribute__((aligned(64))) = 7;
int f(void) { return x++ + beside +
#ifdef POST
	1 +
#endif
	third(1); }
