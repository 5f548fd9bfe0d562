// The descriptor that may be switched on stays that of its message.
// cc: gcc
// flags: -g
// expect: changed function f code
// expect: new data descriptor
#include "kernel.h"

void f(int a)
{
#ifdef POST
	pr_debug("new %d\n", a);
#endif
	pr_debug("old %d\n", a);
	pr_debug("older %d\n", a);
}
