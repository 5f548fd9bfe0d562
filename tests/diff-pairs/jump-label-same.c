// twin of jump-label-key
// expect: new function e
#include "kernel.h"

struct key { int v; } a;
#ifdef POST
int e(int x) { return static_branch(a) ? other(x) : x; }
#endif
int f(int x)
{
	if (static_branch(a))
		return other(x);
	return x;
}
