// Two blocks with a variable each, of which the first goes and another one comes behind the second.
// cc: gcc
// flags: -g
// expect: changed function f code
// expect: new data n
// expect: removed data n
// expect: refused state_lost n
#include "kernel.h"

int f(int x)
{
#ifndef POST
	if (x == 1) { static int n; if (n++ > 5) { printk("a"); return other(1); } }
#endif
	if (x == 2) { static int n; if (n++ > 5) { printk("b"); return another(2); } }
#ifdef POST
	if (x == 3) { static int n; if (n++ > 5) { printk("c"); return third(3); } }
#endif
	return 0;
}
