// New data that new code uses, and that start code alone would set up.
// expect: changed function queue code
// expect: changed function start code
// expect: new data wq
// expect: refused init_changed start
// expect: refused init_needed wq
#include "kernel.h"

#ifdef POST
static int wq;
#else
extern int system_wq;
#define wq system_wq
#endif

int queue(int work)
{
	return other(work + wq);
}

__init int start(int a)
{
#ifdef POST
	wq = other(a);
#endif
	return other(a);
}
