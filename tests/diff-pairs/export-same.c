// twin of the export refusals
// expect: changed function f code
#include "kernel.h"

int f(int a)
{
#ifdef POST
	if (!a)
		return 3;
#endif
	return other(a);
}
EXPORT(f, "");
