// expect: changed function f code
// expect: new data __param_limit
// expect: new data limit
// expect: refused registration_changed __param_limit
#include "kernel.h"

#ifdef POST
static int limit = 8;
static const struct { const char *name; void *arg; } __param_limit
	__attribute__((section("__param"), used)) = { "limit", &limit };
#endif
int f(int a)
{
#ifdef POST
	if (a > limit)
		return 3;
#endif
	return other(a);
}
