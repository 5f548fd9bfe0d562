// expect: changed data p
// expect: refused data_changed p
#include "kernel.h"

char *p =
#ifdef POST
"new";
#else
"old";
#endif
char *f(void) { return p++; }
