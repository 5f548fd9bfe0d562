// cc: gcc
// expect: changed function f code
// expect: removed function f.cold
#include "kernel.h"

void __attribute__((cold)) complain(int);
void __attribute__((cold, noreturn)) die(const char *);
int f(int a)
{
#ifndef POST
	if (a == 77) {
		complain(5);
		die("cold");
	}
#endif
	return other(a);
}
