// expect: changed function f code
// expect: refused no_ftrace_site f
#include "kernel.h"

__attribute__((section(".noinstr.text"))) static notrace noinline int f(int a)
{
#ifdef POST
	if (!a)
		return 3;
#endif
	return other(a);
}
int g(int a) { return f(a) + 1; }
int h(int a) { return f(a) + 2; }
