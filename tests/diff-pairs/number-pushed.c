// expect: changed function f code
#include "kernel.h"

void seven(long a, long b, long c, long d, long e, long f, long seventh);
#ifdef POST
#define SEVENTH 130
#else
#define SEVENTH 100
#endif
void f(void) { seven(1, 2, 3, 4, 5, 6, SEVENTH); }
