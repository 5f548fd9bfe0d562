// cc: gcc
// expect: changed data jumps
// expect: changed function f code
#include "kernel.h"

int f(const unsigned char *at, int value)
{
	static const void *const jumps[] = { &&add, &&end,
#ifdef POST
		&&twice
#endif
	};
	goto *jumps[*at];
#ifdef POST
twice:
	value *= another(value);
	goto *jumps[*++at];
#endif
add:
	value += other(value);
	goto *jumps[*++at];
end:
	return value;
}
