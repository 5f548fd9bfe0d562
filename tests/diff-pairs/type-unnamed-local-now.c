// What a local variable points to has no name any more, and in another function it gets one.
// cc: clang
// flags: -g
// expect: changed function f code
// expect: changed function g code
// expect: refused type_changed struct state
// expect: refused type_changed type of p
#include "kernel.h"

struct file { void *private; };
#ifdef POST
#define FIRST struct { int flags, id; }
#define SECOND struct state
struct state { int flags, id; };
#else
#define FIRST struct context
#define SECOND struct { int id, flags; }
struct context { int id, flags; };
#endif
int f(struct file *file, int v)
{
	FIRST *p = file->private;
	p->flags = v;
	return p->id;
}
int g(struct file *file, int v)
{
	SECOND *p = file->private;
	p->flags = v;
	return p->id;
}
