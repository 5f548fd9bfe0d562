// twin of static-warned: as many flags as before, told by their messages
// cc: gcc
// expect: changed function f code
// expect: new data __already_done
// expect: removed data __already_done
#include "kernel.h"

#define WARN_ONCE(c, ...) do { static _Bool __attribute__((section(".data..once"))) __already_done; if ((c) && !__already_done) { __already_done = 1; printk(__VA_ARGS__); } } while (0)
void f(int a)
{
#ifdef POST
	WARN_ONCE(a == 3, "three");
	other(a);
	WARN_ONCE(a == 4, "four");
#else
	WARN_ONCE(a == 4, "four");
	other(a);
	WARN_ONCE(a == 5, "five");
#endif
}
