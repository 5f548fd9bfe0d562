// expect: removed data __param_limit
// expect: note __param_limit in __param
#include "kernel.h"

int limit = 8;
#ifndef POST
static const struct { const char *name; void *arg; } __param_limit
	__attribute__((section("__param"), used)) = { "limit", &limit };
#endif
int f(int a) { return other(limit); }
