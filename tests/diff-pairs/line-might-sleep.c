#include "kernel.h"

void __might_sleep(const char *file, int line);
#if defined POST || defined MOVED
#line 340 "fs/x.c"
#else
#line 330 "fs/x.c"
#endif
int f(int a) { __might_sleep(__FILE__, __LINE__); return other(a); }
