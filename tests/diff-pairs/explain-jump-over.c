// flags: -g
// expect: changed function f code
// The first instruction that differs is the jump over what changed, in a function inlined before it:
// the reason is neither.
#include "kernel.h"

extern int limit;
static inline int low(int x) { return x < limit; }
int f(int x)
{
	if (low(x)) {
		other(1);
#ifdef POST
		another(2);
#endif
	}
	return third(3);
}
