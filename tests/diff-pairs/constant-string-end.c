// cc: gcc
// expect: new function e
// expect: changed function g code
// The end of one string can be the start of the next: only which string it is decides.
#include "kernel.h"
#ifdef POST
void e(void) { use("other"); }
int g(int a) { return a + 2; }
#else
int g(int a) { return a + 1; }
#endif
void f(const char **p) { p[0] = ""; p[1] = (const char *)"" + 1; }
