// What was filled once was another variable: the new one is to be filled, too. (get_random_once)
// cc: gcc
// flags: -g
// expect: changed function f code
// expect: new data secrets
// expect: new data ___done
// expect: removed data secret
// expect: removed data ___done
// expect: refused state_lost secrets
#include "kernel.h"

#ifdef POST
static struct { long a, b, c; } secrets;
#define SECRET secrets
#else
static long secret[2];
#define SECRET secret
#endif
void fill(void *, unsigned long);
const void *f(int x)
{
	static _Bool __attribute__((section(".data..do_once"))) ___done;
	if (!___done) {
		___done = 1;
		fill(&SECRET, sizeof SECRET);
	}
	return x ? &SECRET : 0;
}
