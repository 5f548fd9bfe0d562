#include "kernel.h"

#if defined POST || defined MOVED
#line 340 "fs/x.c"
#else
#line 330 "fs/x.c"
#endif
int f(int a) { WARN_ON(a == 3); return other(a); }
