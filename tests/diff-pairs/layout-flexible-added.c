// Behind live objects there is no room for it.
// flags: -g
// expect: changed function f code
// expect: refused type_changed struct message
#include "kernel.h"

struct message {
	int length;
#ifdef POST
	int data[];
#endif
};
int f(struct message *m)
{
#ifdef POST
	return other(m->data[0]);
#else
	return other(m->length);
#endif
}
