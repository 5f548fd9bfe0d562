// A variable and the function that uses it have other names: the count begins anew.
// flags: -g
// expect: new function next_b
// expect: changed function entry code
// expect: removed function next_a
// expect: new data count_b
// expect: removed data count_a
// expect: refused state_lost count_b
#include "kernel.h"

#ifdef POST
static int count_b;
static noinline int next_b(void) { other(1); return ++count_b; }
int entry(int x) { other(x); return next_b() + x + 1; }
#else
static int count_a;
static noinline int next_a(void) { other(1); return ++count_a; }
int entry(int x) { other(x); return next_a() + x; }
#endif
