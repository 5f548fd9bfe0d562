// The table's function is not replaced, and keeps it.
// expect: changed function g code
#include "kernel.h"

#ifdef POST
int g(int a) { return other(a + 1); }
#else
int g(int a) { return other(a); }
#endif
#if defined POST || defined MOVED
#line 700
#endif
int f(const unsigned char *at, int value)
{
	static const void *const jumps[] = { &&add, &&twice, &&end };
	goto *jumps[*at];
add:
	WARN_ON(value);
	value += other(value);
	goto *jumps[*++at];
twice:
	value *= another(value);
	goto *jumps[*++at];
end:
	return value;
}
