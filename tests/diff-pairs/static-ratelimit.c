// A limit of its own for the new message; the others keep theirs, and what these have counted.
// cc: gcc
// expect: changed function g code
// expect: new data _rs
#include "kernel.h"

struct ratelimit { int interval, burst, printed; };
int allowed(struct ratelimit *);
#define printk_ratelimited(text) do { static struct ratelimit _rs = { 5, 10, 0 }; if (allowed(&_rs)) printk(text); } while (0)
void f(void) { printk_ratelimited("f"); }
void g(int a)
{
#ifdef POST
	if (a)
		printk_ratelimited("new");
#endif
	printk_ratelimited("g");
}
