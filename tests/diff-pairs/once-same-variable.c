// twin of once-other-variable: the same is filled at another time
// flags: -g
// expect: changed function f code
#include "kernel.h"

static long secret[2];
void fill(void *, unsigned long);
const void *f(int x)
{
	static _Bool __attribute__((section(".data..do_once"))) ___done;
#ifdef POST
	if (x > 3)
		return 0;
#endif
	if (!___done) {
		___done = 1;
		fill(&secret, sizeof secret);
	}
	return x ? &secret : 0;
}
