// A variable of a function, which clang names after it.
// cc: gcc
// flags: -g
// expect: changed function h code
// expect: new data total
// expect: removed data count
// expect: refused state_lost total
#include "kernel.h"

#ifdef POST
#define count total
#endif
int h(void) { static int count = 5; return ++count; }
