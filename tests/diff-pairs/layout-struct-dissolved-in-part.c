// twin of layout-struct-dissolved: one of its members is not there any more
// flags: -g
// expect: changed function f code
// expect: refused type_changed struct packet
#include "kernel.h"

struct header { int seq, ack; };
struct packet {
	long queue;
#ifdef POST
	int seq;
	int unused;
#define SEQ seq
#else
	struct header header;
#define SEQ header.seq
#endif
	int length;
};
int f(struct packet *p)
{
#ifdef POST
	if (!p->queue)
		return 0;
#endif
	return other(p->SEQ) + p->length;
}
