// expect: changed function f code
#include "kernel.h"

int f(int a)
{
#ifdef POST
	if (a == 9) return 1;
#endif
	printk("%s", __func__); return other(a);
}
int g(int a) { printk("%s", __func__); return other(a); }
