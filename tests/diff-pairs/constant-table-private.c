// read-only, named by code only: new code brings its own copy
// cc: gcc
// expect: changed data table
// expect: changed function f constant
#include "kernel.h"

static const int table[] = { 1, 2, 3,
#ifdef POST
5,
#else
4,
#endif
};
int f(int a) { return table[a]; }
int g(int a) { return other(a); }
