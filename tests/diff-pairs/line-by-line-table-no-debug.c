// expect: changed function f code
#include "kernel.h"

void mark(int line);
#ifdef POST
#line 340 "fs/x.c"
#else
#line 330 "fs/x.c"
#endif
void f(void) { mark(__LINE__); }
