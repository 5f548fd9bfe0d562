// expect: refused data_moved x
// expect: note x is in
#include "kernel.h"

int y __attribute__((section(".data..page_aligned"), aligned(4096)));
#ifdef POST
#define PLACE __attribute__((section(".data..page_aligned"), aligned(4096)))
#else
#define PLACE
#endif
int x PLACE = 7;
int f(void) { return x++ + y; }
