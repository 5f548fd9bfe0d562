// twin of type-renamed: of one header, another type is used by another function
// flags: -g
// expect: changed function g code
// expect: changed function f code
#include "kernel.h"

# 1 "both.h"
struct old { int a, b; };
struct young { long limit; int used, more; };
# 12 "type-replaced-header.c"
int f(int x)
{
#ifndef POST
	struct old o = { x };
	use(&o);
#endif
	return other(x);
}
int g(int x)
{
#ifdef POST
	struct young y = { x };
	use(&y);
#endif
	return other(x);
}
