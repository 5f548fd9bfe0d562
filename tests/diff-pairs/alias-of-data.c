// expect: refused alias_changed z
#include "kernel.h"

int x = 3, y = 4;
#ifdef POST
extern int z __attribute__((alias("y")));
#else
extern int z __attribute__((alias("x")));
#endif
