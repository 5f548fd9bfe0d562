// expect: refused init_changed start
// expect: refused init_changed start
#include "kernel.h"

__init int start(void) { return other(1); }
int (*call)(void) __attribute__((section(
#ifdef POST
".initcall7.init"
#else
".initcall6.init"
#endif
))) = start;
