// cc: gcc
// flags: -fno-data-sections
// expect: changed function g constant
#include "kernel.h"

void f(int a) { printk(&"prefix text\n"[7]); }
void g(int a)
{
#ifdef POST
	printk("x\n");
#endif
	printk("g\n");
}
