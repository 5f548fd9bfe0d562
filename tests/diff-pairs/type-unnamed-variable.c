// A variable's type may have no name at all.
// flags: -g
// expect: changed function f code
// expect: refused type_changed variable state
#include "kernel.h"

#ifdef POST
static struct { int used, limit; } state;
#else
static struct { int limit, used; } state;
#endif
int f(int a)
{
	use(&state);
	state.used += a;
	return other(state.limit);
}
