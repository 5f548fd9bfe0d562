// flags: -g
// expect: changed function f code
// Each number is a line of f, one of its own, the other of what it inlines.
#include "kernel.h"

static inline __attribute__((always_inline)) void inner(int a);
#ifdef POST
#define SIZE 400
#else
#define SIZE 120
#endif
#line 118
void f(int a)
{
	inner(a);
	another(SIZE);
}
#line 400
static inline void inner(int a) { other(a); }
