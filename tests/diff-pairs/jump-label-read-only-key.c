// expect: changed function f code
// expect: refused static_key a
#include "kernel.h"

struct key { int v; } a __attribute__((section(".data..ro_after_init")));
int f(int x)
{
#ifdef POST
	if (x == 3)
		return 0;
#endif
	if (static_branch(a))
		return other(x);
	return x;
}
