// twin of layout-flexible-alias: elements of another size
// flags: -g
// expect: changed function f code
// expect: refused type_changed struct message
#include "kernel.h"

struct message {
	int length;
#ifdef POST
	union {
		unsigned char first[1];
		struct { struct { } nothing; unsigned short data[]; };
	};
#define DATA data
#else
	unsigned char first[1];
#define DATA first
#endif
};
int f(struct message *m) { return other(m->DATA[m->length - 1]); }
