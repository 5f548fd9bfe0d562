// expect: changed data y
// expect: refused data_changed y
#include "kernel.h"

int x __attribute__((section(".data..read_mostly"))) = 5;
int y __attribute__((section(".data..read_mostly"))) =
#ifdef POST
8;
#else
7;
#endif
int f(void) { return x++ + y; }
