#include "kernel.h"

#if defined POST || defined MOVED
#line 340 "fs/x.c"
#else
#line 330 "fs/x.c"
#endif
void f(int a) { pr_debug("x %d\n", a); }
