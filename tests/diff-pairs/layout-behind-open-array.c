// twin of type-member-in-hole: what seems to be a gap holds elements of live objects
// flags: -g
// expect: changed function f code
// expect: refused type_changed struct message
#include "kernel.h"

struct message {
	long queue;
	int length;
#ifdef POST
	union { unsigned char data[0]; int more; };
#else
	unsigned char data[0];
#endif
};
int f(struct message *m)
{
#ifdef POST
	if (m->more)
		return 0;
#endif
	return other(m->data[m->length]);
}
