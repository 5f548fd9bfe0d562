// It leaves a gap, in which new code sets nothing.
// flags: -g
// expect: changed function f code
// expect: refused type_changed struct conn
#include "kernel.h"

struct conn {
	long flags;
	int state;
#if !defined(POST) || defined(PROPOSED)
	int users;
#endif
};
void f(struct conn *conn)
{
	conn->flags = other(1);
#ifndef POST
	conn->users = 1;
#endif
}
