// twin of type-unnamed-local: one more of what a macro makes, and a table with one more row
// flags: -g
// expect: changed function f code
#include "kernel.h"

#define READ(x) ({                                                                       \
	union { typeof(x) value; char bytes[sizeof(x)]; } u;                             \
	__builtin_memcpy(u.bytes, (void *)&(x), sizeof(x));                              \
	u.value; })
int f(volatile long *p, volatile int *q, int i)
{
	const struct { int from, to; } rows[] = {
		{ 1, 2 }, { 3, 4 },
#ifdef POST
		{ 5, 6 },
#endif
	};
	int sum = other(READ(*p)) + rows[i].to;
#ifdef POST
	sum += READ(*q);
#endif
	return sum + other(READ(*p));
}
