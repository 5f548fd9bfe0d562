// twin of static-warned: one more caller of a function that warns once shares its flag
// cc: gcc
// expect: new function e
#include "kernel.h"

static noinline void warn(int a)
{
	static _Bool __attribute__((section(".data..once"))) __already_done;
	if (a && !__already_done) {
		__already_done = 1;
		printk("once");
	}
}
#ifdef POST
void e(int a) { warn(a + 1); }
#endif
void f(int a) { warn(a); }
