// A flag of its own that goes where another comes is no state that moves.
// cc: gcc
// flags: -g
// expect: changed function f code
// expect: new data __warned
// expect: removed data __print_once
#include "kernel.h"

int f(int a)
{
#ifdef POST
	static char __warned;
	if (a && !__warned)
		__warned = 1, other(2);
#else
	static char __print_once;
	if (a && !__print_once)
		__print_once = 1, other(1);
#endif
	return a;
}
