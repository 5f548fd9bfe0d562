// cc: gcc
// expect: changed function f code
// expect: new data descriptor
// expect: removed data descriptor
#include "kernel.h"

void f(int a)
{
#ifdef POST
	pr_debug("new %d\n", a);
#else
	pr_debug("old %d\n", a);
#endif
}
