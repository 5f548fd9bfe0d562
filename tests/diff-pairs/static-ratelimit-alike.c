// Two limits at one place, with one message: which of them is the old one nobody can tell.
// cc: gcc
// expect: changed function f code
// expect: new data _rs
// expect: new data _rs
// expect: removed data _rs
// expect: refused ambiguous_data _rs
// expect: refused ambiguous_data _rs
#include "kernel.h"

struct ratelimit { int interval, burst, printed; };
int allowed(struct ratelimit *);
#define printk_ratelimited(text) do { static struct ratelimit _rs = { 5, 10, 0 }; if (allowed(&_rs)) printk(text); } while (0)
void f(int a)
{
	third(a);
	printk_ratelimited("f");
#ifdef POST
	printk_ratelimited("f");
#endif
	other(a);
}
