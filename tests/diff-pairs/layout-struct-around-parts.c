// Elements without a name have another layout in the structure around.
// flags: -g
// expect: changed function f code
// expect: refused type_changed struct packet
#include "kernel.h"

#ifdef POST
struct header { int count; struct { short value, key; } slots[2]; };
#endif
struct packet {
	long queue;
#ifdef POST
	struct header header;
#define KEY header.slots[1].key
#else
	int count;
	struct { short key, value; } slots[2];
#define KEY slots[1].key
#endif
};
int f(struct packet *p)
{
#ifdef POST
	if (!p->queue)
		return 0;
#endif
	return other(p->KEY);
}
