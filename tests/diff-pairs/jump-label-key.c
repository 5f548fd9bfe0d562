// expect: changed function f special
#include "kernel.h"

struct key { int v; } a, b;
int f(int x)
{
#ifdef POST
	if (static_branch(b))
#else
	if (static_branch(a))
#endif
		return other(x);
	return x;
}
