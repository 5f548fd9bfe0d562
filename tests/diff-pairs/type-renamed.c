// Live memory that a file holds has the layout of the type that has another name now.
// flags: -g
// expect: changed function f code
// expect: changed function g code
// expect: refused type_changed struct state
#include "kernel.h"

#ifdef POST
struct state { int id; long quota; int flags; };
#define CONTEXT struct state
#else
struct context { int id; int flags; };
#define CONTEXT struct context
#endif
struct file { void *private; };
void *kmalloc(unsigned long);
int f(struct file *file)
{
	CONTEXT *c = kmalloc(sizeof(*c));
	c->id = 1;
	c->flags = 0;
#ifdef POST
	c->quota = 100;
#endif
	file->private = c;
	return 0;
}
int g(struct file *file, int v)
{
	CONTEXT *c = file->private;
#ifdef POST
	if (v > c->quota)
		return -1;
#endif
	c->flags = v;
	return c->id;
}
