#include "kernel.h"

#define STR(x) #x
#define XSTR(x) STR(x)
#if defined POST || defined MOVED
#line 340 "fs/x.c"
#else
#line 330 "fs/x.c"
#endif
void f(int a) { printk("field at " __FILE__ ":" XSTR(__LINE__) "\n"); }
