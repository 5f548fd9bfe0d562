// twin of init-function-changed
// expect: changed function f code
#include "kernel.h"

__init int start(int a) { return other(a); }
int f(int a)
{
#ifdef POST
	if (!a)
		return 3;
#endif
	return other(a);
}
