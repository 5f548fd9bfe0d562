// strings of others move in their section
// expect: changed function g code
#include "kernel.h"

void f(int a) { printk("f %d\n", a); }
void g(int a)
{
#ifdef POST
	printk("before\n");
#endif
	printk("g %d\n", a);
}
void h(int a) { printk("h %d\n", a); }
