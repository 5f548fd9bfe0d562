// Functions may have types of their own by one name.
// flags: -g
// expect: changed function g code
// expect: refused type_changed struct entry
#include "kernel.h"

int f(void *p)
{
	struct entry { int a, b; } *e = p;
	return other(e->b);
}
int g(void *p)
{
#ifdef POST
	struct entry { long c; int a, b; } *e = p;
#else
	struct entry { long c; int b, a; } *e = p;
#endif
	return another(e->b);
}
