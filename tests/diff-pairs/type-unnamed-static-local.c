// flags: -g
// expect: changed function f code
// expect: refused type_changed variable state
#include "kernel.h"

int f(int a)
{
#ifdef POST
	static struct { int used, limit; } state[4];
#else
	static struct { int limit, used; } state[4];
#endif
	use(state);
	state[a].used += a;
	return other(state[a].limit);
}
