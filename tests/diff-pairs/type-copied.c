// twin of type-only-on-stack: one is copied into live memory
// flags: -g
// expect: changed function f code
// expect: changed function g code
// expect: refused type_changed struct limits
#include "kernel.h"

#ifdef POST
struct limits { int high, low; };
#else
struct limits { int low, high; };
#endif
struct device { char raw[64]; };
void f(struct device *d, int low, int high)
{
	struct limits l;
	l.low = low;
	l.high = high;
	__builtin_memcpy(d->raw, &l, sizeof(l));
}
int g(struct device *d, int x)
{
	struct limits l;
	__builtin_memcpy(&l, d->raw, sizeof(l));
	return x >= l.low && x <= l.high;
}
