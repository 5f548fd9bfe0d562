// A warning of another thing in the place of one that has been given.
// cc: gcc
// expect: changed function f code
// expect: new data __already_done
// expect: removed data __already_done
#include "kernel.h"

#define ONCE(text) ({                                                        \
	static _Bool __attribute__((section(".data..once"))) __already_done; \
	if (!__already_done) { __already_done = 1; printk(text); } })
#ifdef POST
int f(int x) { if (x < 0) ONCE("attack"); return x; }
#else
int f(int x) { if (x > 3) ONCE("trouble"); return x; }
#endif
