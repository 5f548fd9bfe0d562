// expect: new function start
// expect: refused init_changed start
#include "kernel.h"

#ifdef POST
__init int start(int a) { return other(a); }
#endif
int f(int a) { return other(a); }
