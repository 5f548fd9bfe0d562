// twin of type-pointer-target: any memory may be looked at as bytes
// flags: -g
// expect: changed function f code
#include "kernel.h"

struct conn {
#ifdef POST
	unsigned char *data;
#else
	void *data;
#endif
	int (*call)(int);
};
int f(struct conn *c)
{
#ifdef POST
	if (!c->data)
		return 3;
#endif
	return c->call(((char *)c->data)[0]);
}
