// cc: gcc
// expect: changed function f code
#include "kernel.h"

int nine(long, long, long, long, long, const char *, long, long, long);
#ifdef POST
#define LAST 90
#else
#define LAST 70
#endif
int f(void) { return nine(5, 4, 3, 2, 1, __func__, 0, 7, LAST) + 1; }
