// The limit that runs is state, and another burst is another initial value of it.
// cc: gcc
// expect: changed data _rs
// expect: changed function g code
// expect: refused data_changed _rs
#include "kernel.h"

struct ratelimit { int interval, burst, printed; };
int allowed(struct ratelimit *);
#ifdef POST
#define BURST 20
#else
#define BURST 10
#endif
void f(void) { static struct ratelimit _rs = { 5, 10, 0 }; if (allowed(&_rs)) printk("f"); }
void g(int a)
{
	static struct ratelimit _rs = { 5, BURST, 0 };
#ifdef POST
	if (a)
		return;
#endif
	if (allowed(&_rs))
		printk("g");
}
