// cc: gcc
#include "kernel.h"

#ifdef POST
#line 340 "fs/x.c"
#else
#line 330 "fs/x.c"
#endif
void f(int a) { printk_indexed("x %d\n", a); }
