// cc: gcc
// expect: changed function g code
// expect: new data __already_done
#include "kernel.h"

#define WARN_ONCE(c, ...) do { static _Bool __attribute__((section(".data..once"))) __already_done; if ((c) && !__already_done) { __already_done = 1; printk(__VA_ARGS__); } } while (0)
void f(int a) { WARN_ONCE(a, "f"); }
void g(int a)
{
#ifdef POST
	WARN_ONCE(a == 3, "three");
#endif
	WARN_ONCE(a, "g");
}
