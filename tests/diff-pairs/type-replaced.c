// twin of type-renamed: another type does another thing in the same function; neither was in one file
// with the other
// flags: -g
// expect: changed function f code
#include "kernel.h"

#ifdef POST
# 1 "young.h"
struct young { long limit; int used, more; };
#else
# 1 "old.h"
struct old { int a, b; };
#endif
# 17 "type-replaced.c"
int f(int x)
{
#ifdef POST
	struct young y = { x };
	use(&y);
#else
	struct old o = { x };
	use(&o);
#endif
	return other(x);
}
