// A type without a name may be that of a local variable only, which points to live memory.
// flags: -g
// expect: changed function f code
// expect: changed function g code
// expect: refused type_changed type of p
// expect: refused type_changed type of p
#include "kernel.h"

#ifdef POST
#define RECORD struct { int b, c, a; }
#else
#define RECORD struct { int a, b; }
#endif
struct timer { void *private; };
void *kmalloc(unsigned long);
void f(struct timer *t)
{
	RECORD *p = kmalloc(sizeof(*p));
	p->a = 1;
	p->b = 2;
	t->private = p;
}
int g(struct timer *t)
{
	RECORD *p = t->private;
	return p->a - p->b;
}
