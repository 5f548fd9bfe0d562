// twin of type-member-renamed: the place has a second name, and the old one stays
// flags: -g
// expect: changed function f code
#include "kernel.h"

struct conn {
	int state;
#ifdef POST
	union { long name; long label; };
#else
	long name;
#endif
};
int f(struct conn *c)
{
#ifdef POST
	if (!c->label)
		return 3;
#endif
	return other(c->state) + c->name;
}
