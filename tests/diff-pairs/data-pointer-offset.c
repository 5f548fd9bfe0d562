// expect: changed data p
// expect: refused data_changed p
#include "kernel.h"

int a[4];
int *p =
#ifdef POST
&a[2];
#else
&a[1];
#endif
int f(void) { return (*p)++; }
