// twin of layout-struct-around: the structure is gone, and its members stay
// flags: -g
// expect: changed function f code
// expect: note in struct packet,
#include "kernel.h"

struct header { int seq, ack; };
struct packet {
	long queue;
#ifdef POST
	int seq, ack;
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
