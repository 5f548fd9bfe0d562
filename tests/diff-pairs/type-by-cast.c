// twin of type-only-on-stack: live memory is reached by casts, which debug information does not show
// flags: -g
// expect: changed function f code
// expect: changed function g code
// expect: refused type_changed struct header
#include "kernel.h"

#ifdef POST
struct header { int b, a; };
#else
struct header { int a, b; };
#endif
void *private_of(int);
void f(int x)
{
	((struct header *)private_of(x))->a = 1;
	((struct header *)private_of(x))->b = 2;
}
int g(int x)
{
	struct header h = *(struct header *)private_of(x);
	return other(h.a * 10 + h.b);
}
