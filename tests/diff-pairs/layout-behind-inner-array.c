// twin of layout-behind-open-array: those of a structure inside
// flags: -g
// expect: changed function f code
// expect: refused type_changed struct message
#include "kernel.h"

struct header { int length; struct { short value; } data[]; };
struct message {
	long queue;
	struct header header;
#ifdef POST
	int more;
#endif
};
int f(struct message *m)
{
#ifdef POST
	if (m->more)
		return 0;
#endif
	return other(m->header.data[m->header.length].value);
}
