// Live memory behind the pointers has room for bytes only, and is indexed by them.
// flags: -g
// expect: changed function f code
// expect: refused type_changed struct table
// expect: refused type_changed variable hits
#include "kernel.h"

#ifdef POST
#define COUNT unsigned int
#else
#define COUNT unsigned char
#endif
struct table { int n; COUNT *hits; };
static COUNT *hits;
int f(struct table *t, int i)
{
	if (!hits)
		hits = (void *)(long)other(t->n * sizeof(*hits));
	hits[i]++;
	return t->hits[i]++;
}
