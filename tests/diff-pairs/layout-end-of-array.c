// What new code allocates is too small for old code.
// flags: -g
// expect: changed function f code
// expect: refused type_changed struct message
#include "kernel.h"

struct message {
	int length;
#if defined(POST) && !defined(PROPOSED)
	int data[12];
#else
	int data[16];
#endif
};
void *kmalloc(unsigned long);
struct message *f(int n)
{
	struct message *m = kmalloc(sizeof(*m));
#ifdef POST
	if (n >= 12)
		return 0;
#endif
	m->data[n] = n;
	return m;
}
