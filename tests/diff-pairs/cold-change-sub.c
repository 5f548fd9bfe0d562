// cc: gcc
// expect: changed function f fragment
// expect: changed function f.cold code
#include "kernel.h"

void __attribute__((cold)) complain(int);
void __attribute__((cold, noreturn)) die(const char *);
int f(int a)
{
	if (a == 77) {
#ifdef POST
		complain(5);
#endif
		die("cold");
	}
	return other(a);
}
