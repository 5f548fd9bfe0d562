// Objects that new code makes would be smaller than old code takes them for.
// flags: -g
// expect: changed function f code
// expect: refused type_changed struct message
#include "kernel.h"

void *kmalloc(unsigned long);
struct message {
	int length;
#if defined(POST) && !defined(PROPOSED)
	int data[];
#else
	int data[1];
#endif
};
struct message *f(int n)
{
#ifdef POST
	struct message *m = kmalloc(sizeof(*m) + n * sizeof(int));
#else
	struct message *m = kmalloc(sizeof(*m) + (n - 1) * sizeof(int));
#endif
#ifdef POST
	if (!m)
		return m;
#endif
	m->length = n;
	return m;
}
