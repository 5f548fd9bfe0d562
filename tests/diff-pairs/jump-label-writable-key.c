// twin of jump-label-read-only-key
// expect: changed function f code
#include "kernel.h"

struct key { int v; } a;
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
