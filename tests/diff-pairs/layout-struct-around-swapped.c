// twin of layout-struct-around: in the structure, two members have changed places
// flags: -g
// expect: changed function f code
// expect: refused type_changed struct packet
#include "kernel.h"

#ifdef POST
struct header { int ack, seq; };
#endif
struct packet {
	long queue;
#ifdef POST
	union {
		struct { int seq, ack; };
		struct header header;
	};
#else
	int seq, ack;
#endif
	int length;
};
int f(struct packet *p)
{
#ifdef POST
	return other(p->header.seq);
#else
	return other(p->seq) + p->length;
#endif
}
