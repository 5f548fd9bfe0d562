// expect: changed function f code
#include "kernel.h"

#define sched __attribute__((section(".sched.text")))
static sched noinline int g(int a) { return other(a) + 1; }
static sched noinline int h(int a) { return other(a) + 2; }
sched int f(int a)
{
#ifdef POST
	return h(a) + g(a + 1) * 3;
#else
	return g(a) + h(a + 1) * 3;
#endif
}
