// twin of type-renamed: the function that is called with live memory has another name, too
// cc: clang
// flags: -g
// expect: changed function f code
// expect: new function state_expired
// expect: removed function context_expired
// expect: note context_expired is gone;
// expect: refused type_changed struct state
#include "kernel.h"

void arm(void (*expired)(void *), int);
#ifdef POST
struct state { int flags, id; };
static noinline void state_expired(void *private)
{
	struct state *s = private;
	s->flags = other(s->id);
}
void f(int x) { arm(state_expired, x + 1); }
#else
struct context { int id, flags; };
static noinline void context_expired(void *private)
{
	struct context *c = private;
	c->flags = other(c->id);
}
void f(int x) { arm(context_expired, x); }
#endif
