// twin of tracepoint-new
// expect: changed function f code
#include "kernel.h"

struct tracepoint { const char *name; void *f; };
struct tracepoint __tracepoint_x __attribute__((section("__tracepoints"), used)) = { "x", 0 };
int f(int a)
{
#ifdef POST
	if (!a)
		return 3;
#endif
	return other(a);
}
