// DECLARE_FLEX_ARRAY(): the same elements by another name
// flags: -g
// expect: changed function f code
// expect: note in struct message,
#include "kernel.h"

struct message {
	int length;
#ifdef POST
	union {
		unsigned char first[1];
		struct { struct { } nothing; unsigned char data[]; };
	};
#define DATA data
#else
	unsigned char first[1];
#define DATA first
#endif
};
int f(struct message *m)
{
#ifdef POST
	if (m->length < 2)
		return 0;
#endif
	return other(m->DATA[m->length - 1]);
}
