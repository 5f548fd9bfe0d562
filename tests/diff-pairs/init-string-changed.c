// expect: changed function start constant
// expect: refused init_changed start
#include "kernel.h"

__init void start(int a)
{
#ifdef POST
	printk("new");
#else
	printk("old");
#endif
}
