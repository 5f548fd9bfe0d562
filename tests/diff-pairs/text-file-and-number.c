// expect: changed function f constant
#include "kernel.h"

#ifdef POST
#define TEXT "see setup.c:99 for what is allowed"
#else
#define TEXT "see setup.c:41 for what is allowed"
#endif
void f(void) { printk(TEXT); }
