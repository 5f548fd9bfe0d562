// twin of ops-table-changed
// expect: changed function g code
#include "kernel.h"

static int g(int a)
{
#ifdef POST
	if (!a)
		return 1;
#endif
	return other(a) + 1;
}
static const struct ops { int (*a)(int); } ops = { g };
void f(void) { use(&ops); }
