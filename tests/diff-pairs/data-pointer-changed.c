// expect: changed data p
// expect: refused data_changed p
#include "kernel.h"

int a, b;
int *p =
#ifdef POST
&b;
#else
&a;
#endif
int f(void) { return (*p)++; }
