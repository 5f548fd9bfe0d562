#include "kernel.h"

void report(void *sb, const char *function, unsigned line, const char *format, ...);
#if defined POST || defined MOVED
#line 340 "fs/x.c"
#else
#line 330 "fs/x.c"
#endif
void f(void *sb, int a) { report(sb, __func__, __LINE__, "x %d", a); }
