// Where one kind of objects has a gap, others have a member.
// flags: -g
// expect: changed function f code
// expect: refused type_changed struct conn
#include "kernel.h"

struct conn {
	int kind;
	union {
		struct { short port;
#ifdef POST
			short mark;
#endif
		} inet;
		int pid;
	};
};
int f(struct conn *c)
{
#ifdef POST
	if (c->inet.mark)
		return 0;
#endif
	return other(c->inet.port) + c->pid;
}
