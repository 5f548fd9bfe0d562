// What a local pointer is declared to lead to: a note, as the memory may be new or live.
// flags: -g
// expect: changed function f code
// expect: note pointer p of
#include "kernel.h"

#ifdef POST
typedef unsigned long word;
#else
typedef unsigned int word;
#endif
struct holder { void *priv; };
unsigned long f(struct holder *h, int i)
{
	word *p = h->priv;
	const void *q = h;
	use(q);
	return p[i];
}
