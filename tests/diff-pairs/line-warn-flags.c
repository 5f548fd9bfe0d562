// twin of line-warn: flags are no line
// expect: changed function f special
#include "kernel.h"

int f(int a)
{
#ifdef POST
	WARN_FLAGS(2314);
#else
	WARN_FLAGS(2313);
#endif
	return other(a);
}
