// expect: changed function start code
// expect: refused init_changed start
// Where filling is tolerated, an int3 that can be executed is none.
#include "kernel.h"

__init void start(int a)
{
	other(a);
#ifndef POST
	asm volatile("int3");
#endif
	another(a);
}
__init int second(int a) { return other(a) + 1; }
