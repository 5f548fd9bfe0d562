// flags: -g
// expect: changed function f code
// The numbers are lines of a header that f inlines.
#include "kernel.h"

#ifdef POST
#define FLAGS 31
#else
#define FLAGS 30
#endif
#line 29 "include/clear.h"
static inline void clear(long *p)
{
	p[0] = p[2] = 0;
	p[1] = -1;
}
#line 900 "fs/x.c"
void f(long *p)
{
	clear(p);
	another(FLAGS);
}
