// expect: changed function start code
// expect: refused init_changed start
#include "kernel.h"

__init int start(int a)
{
#ifdef POST
	if (!a)
		return 3;
#endif
	return other(a);
}
