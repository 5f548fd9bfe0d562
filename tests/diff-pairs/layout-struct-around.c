// struct_group_tagged(): a structure around members that stay, and its type is new.
// cc: gcc clang
// flags: -g
// expect: changed function f code
// expect: note in struct packet,
#include "kernel.h"

#ifdef POST
struct header { int seq, ack; unsigned last : 1, first : 1; };
#endif
struct packet {
	long queue;
#ifdef POST
	union {
		struct { int seq, ack; unsigned last : 1, first : 1; };
		struct header header;
	};
#else
	int seq, ack;
	unsigned last : 1, first : 1;
#endif
	int length;
};
int f(struct packet *p)
{
#ifdef POST
	use(&p->header);
#endif
	return other(p->seq) + p->length + p->first;
}
