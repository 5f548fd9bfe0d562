// Whatever the call: nothing is known about mark().
#include "kernel.h"

void mark(int line);
#if defined POST || defined MOVED
#line 340 "fs/x.c"
#else
#line 330 "fs/x.c"
#endif
void f(void) { mark(__LINE__); }
