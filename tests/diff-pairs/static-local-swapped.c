// cc: gcc
// flags: -g
// expect: changed function f code
// Whose each count is, the debug information says; their numbers and uses in f say the opposite.
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
