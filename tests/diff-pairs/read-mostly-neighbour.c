// twin of read-mostly-changed: others move in the section
// expect: new data z
#include "kernel.h"

int x __attribute__((section(".data..read_mostly"))) = 5;
#ifdef POST
int z __attribute__((section(".data..read_mostly"))) = 9;
#endif
int y __attribute__((section(".data..read_mostly"))) = 7;
int f(void) { return x++ + y; }
