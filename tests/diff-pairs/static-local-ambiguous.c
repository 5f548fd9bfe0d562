// cc: gcc
// expect: changed function f code
// expect: new data count
// expect: new data count
// expect: removed data count
// expect: removed data count
// expect: refused ambiguous_data count
// expect: refused ambiguous_data count
// The same without debug information: static-local-swapped.c is the twin.
#include "kernel.h"

static inline __attribute__((always_inline)) int a(int x) { static int count; return count += x; }
static inline __attribute__((always_inline)) int b(int x) { static int count; return count += other(x); }
int f(int x)
{
#ifdef POST
	int r = b(x);
	return r + a(x);
#else
	int r = a(x);
	return r + b(x);
#endif
}
