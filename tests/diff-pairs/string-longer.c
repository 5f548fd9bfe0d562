// expect: changed function f constant
#include "kernel.h"

void f(int a)
{
#ifdef POST
	printk("a much longer text %d\n", a);
#else
	printk("text %d\n", a);
#endif
}
