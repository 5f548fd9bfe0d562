// expect: changed function f constant
#include "kernel.h"

void f(int a)
{
#ifdef POST
	printk("new %d\n", a);
#else
	printk("old %d\n", a);
#endif
}
