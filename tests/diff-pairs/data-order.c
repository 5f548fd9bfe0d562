// flags: -fno-data-sections
#include "kernel.h"

#ifdef POST
int y = 7;
int x = 5;
#else
int x = 5;
int y = 7;
#endif
int f(void) { return x++ + y; }
