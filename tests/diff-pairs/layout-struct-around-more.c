// twin of layout-struct-around: the structure has a member more, where there was a gap
// flags: -g
// expect: changed function f code
// expect: refused type_changed struct packet
#include "kernel.h"

#ifdef POST
struct header { int seq; short ack, more; };
#endif
struct packet {
	long queue;
#ifdef POST
	union {
		struct { int seq; short ack; };
		struct header header;
	};
#else
	int seq;
	short ack;
#endif
	int length;
};
int f(struct packet *p)
{
#ifdef POST
	return other(p->header.more);
#else
	return other(p->seq) + p->length;
#endif
}
