// cc: gcc
// expect: new function e
// expect: new function e.cold
#include "kernel.h"

void __attribute__((cold)) complain(int);
void __attribute__((cold, noreturn)) die(const char *);
#ifdef POST
int e(int a) { if (a == 3) { complain(1); die("e"); } return a; }
#endif
int f(int a)
{
	if (a == 77) {
		complain(5);
		die("cold");
	}
	return other(a);
}
