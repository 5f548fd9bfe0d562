// cc: gcc
// expect: changed function f code
// expect: changed function f.cold code
#include "kernel.h"

void __attribute__((cold)) complain(int);
void __attribute__((cold, noreturn)) die(const char *);
int f(int a)
{
#ifdef POST
	a += other(9);
#endif
	if (a == 77) {
		complain(5);
		die("cold");
	}
	return other(a);
}
