// Whoever got the table's address goes on using it.
// cc: gcc
// expect: changed function f code
// expect: refused inner_address jumps
#include "kernel.h"

int f(const unsigned char *at, int value)
{
	static const void *const jumps[] = { &&add, &&twice, &&end };
	use(jumps);
	goto *jumps[*at];
add:
#ifdef POST
	value += 7;
#else
	value += 5;
#endif
	goto *jumps[*++at];
twice:
	value *= 2;
	goto *jumps[*++at];
end:
	return value;
}
