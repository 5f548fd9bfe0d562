// cc: gcc
#include "kernel.h"

#if defined POST || defined MOVED
#line 340 "fs/x.c"
#else
#line 330 "fs/x.c"
#endif
void f(int a) { printk_indexed("x %d\n", a); }
