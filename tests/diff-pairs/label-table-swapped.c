// cc: gcc
// expect: changed data jumps
// expect: changed function f constant
#include "kernel.h"

int f(const unsigned char *at, int value)
{
#ifdef POST
	static const void *const jumps[] = { &&twice, &&add, &&end };
#else
	static const void *const jumps[] = { &&add, &&twice, &&end };
#endif
	goto *jumps[*at];
add:
	value += other(value);
	goto *jumps[*++at];
twice:
	value *= another(value);
	goto *jumps[*++at];
end:
	return value;
}
