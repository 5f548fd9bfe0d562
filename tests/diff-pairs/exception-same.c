// twin of exception-fixup
// expect: new function e
#include "kernel.h"

#ifdef POST
int e(int x) { int error = 0; EX_LOAD(x, error, 1); return error; }
#endif
int f(int x)
{
	int error = 0;
	EX_LOAD(x, error, 1);
	return x + error;
}
