// twin of enum-constant: a value that meant another constant
// flags: -g
// expect: changed function f code
// expect: refused type_changed enum of OPEN
#include "kernel.h"

enum {
	OPEN = 1,
#ifdef POST
	LOCKED = 2, DIRTY = 4,
#else
	DIRTY = 2,
#endif
};
int f(int *flags) { return *flags & DIRTY ? other(OPEN) : 0; }
