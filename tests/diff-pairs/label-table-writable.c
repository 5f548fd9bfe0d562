// The running kernel's table may hold anything by now, and leads into the old body.
// cc: gcc
// expect: changed function f code
// expect: refused inner_address jumps
#include "kernel.h"

int f(const unsigned char *at, int value)
{
	static const void *jumps[] = { &&add, &&twice, &&end };
	goto *jumps[*at];
add:
#ifdef POST
	value += 7;
#else
	value += 5;
#endif
	jumps[2] = &&twice;
	goto *jumps[*++at];
twice:
	value *= 2;
	goto *jumps[*++at];
end:
	return value;
}
