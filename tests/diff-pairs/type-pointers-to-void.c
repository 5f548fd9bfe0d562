// twin of type-bytes-widened: void is any memory, at each depth, and bytes are bytes
// flags: -g
// expect: changed function f code
#include "kernel.h"

#ifdef POST
struct conn { unsigned char *data; int *words; unsigned char **rows; };
#else
struct conn { char *data; void *words; void **rows; };
#endif
int f(struct conn *c, int i)
{
#ifdef POST
	if (!c->words)
		return 3;
#endif
	return other(((char *)c->rows[i])[1] + (char)c->data[i]);
}
