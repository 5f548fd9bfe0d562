// twin of type-member-in-hole: what is a gap for this structure is not one for the other arm of a union
// flags: -g
// expect: changed function f code
// expect: refused type_changed struct inet
#include "kernel.h"

struct inet {
	short port;
#ifdef POST
	short mark;
#endif
	int address;
};
struct slot { struct inet inet; };
struct conn { int kind; union { struct slot slot; long all; }; };
int f(struct conn *c)
{
#ifdef POST
	if (c->slot.inet.mark)
		return 0;
#endif
	return other(c->slot.inet.port) + c->kind;
}
