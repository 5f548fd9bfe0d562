// expect: changed function f constant
#include "kernel.h"

void f(int a)
{
#ifdef POST
	printk("see fs/y.c:340 now\n");
#else
	printk("see fs/y.c:330 then\n");
#endif
}
