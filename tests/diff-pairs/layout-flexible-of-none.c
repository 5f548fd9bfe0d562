// An array of no elements becomes a flexible one: nothing is elsewhere.
// flags: -g
// expect: changed function f code
#include "kernel.h"

struct message {
	int length;
#ifdef POST
	unsigned char data[];
#else
	unsigned char data[0];
#endif
};
int f(struct message *m)
{
#ifdef POST
	if (m->length < 2)
		return 0;
#endif
	return other(m->data[m->length - 1]);
}
