// flags: -g
// expect: changed function f code
// expect: refused type_changed struct conn
#include "kernel.h"

void *kmalloc(unsigned long);
struct conn {
	long flags;
#if !defined(POST) || defined(PROPOSED)
	const char *const *names;
#endif
};
struct conn *f(long flags)
{
	struct conn *conn = kmalloc(sizeof(*conn));
	conn->flags = flags;
#ifndef POST
	conn->names = 0;
#endif
	return conn;
}
