// The labels of a computed goto are those of one body, even where none of them moved.
// cc: gcc
// expect: changed data jumps
// expect: changed function f code
#include "kernel.h"

int f(const unsigned char *at, int value)
{
	static const void *const jumps[] = { &&add, &&twice, &&end };
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
