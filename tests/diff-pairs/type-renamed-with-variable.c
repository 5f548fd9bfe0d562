// twin of type-renamed: the variables have other names, too
// flags: -g
// expect: changed function g code
// expect: refused type_changed struct state
#include "kernel.h"

struct file { void *private; };
#ifdef POST
struct state { int flags; int id; };
int g(struct file *file, int v)
{
	struct state *s = file->private;
	s->flags = v;
	return s->id;
}
#else
struct context { int id; int flags; };
int g(struct file *file, int v)
{
	struct context *c = file->private;
	c->flags = v;
	return c->id;
}
#endif
