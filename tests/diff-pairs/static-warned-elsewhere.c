// One function warns no more, another now does: its flag is not the old one's, which may be set.
// cc: gcc
// flags: -g
// expect: changed function f code
// expect: changed function g code
// expect: new data __already_done
// expect: removed data __already_done
#include "kernel.h"

#define WARN_ONCE(c, ...) do { static _Bool __attribute__((section(".data..once"))) __already_done; if ((c) && !__already_done) { __already_done = 1; printk(__VA_ARGS__); } } while (0)
void f(int a)
{
#ifndef POST
	WARN_ONCE(a, "f");
#endif
	other(a);
}
void g(int a)
{
	another(a);
#ifdef POST
	WARN_ONCE(a == 3, "g");
#endif
}
