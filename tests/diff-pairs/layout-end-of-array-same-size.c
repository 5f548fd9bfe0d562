// Nothing moves, but nothing is set where old code looks after an undo.
// flags: -g
// expect: changed function f code
// expect: refused type_changed struct message
#include "kernel.h"

struct message {
	long queue;
	int length;
#if defined(POST) && !defined(PROPOSED)
	char data[3];
#else
	char data[4];
#endif
};
int f(struct message *m)
{
#ifdef POST
	if (m->length > 3)
		return 0;
#endif
	return other(m->data[m->length - 1]);
}
