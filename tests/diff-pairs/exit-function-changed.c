// expect: changed function stop code
// expect: refused init_changed stop
#include "kernel.h"

__attribute__((section(".exit.text"))) int stop(int a)
{
#ifdef POST
	if (!a)
		return 3;
#endif
	return other(a);
}
