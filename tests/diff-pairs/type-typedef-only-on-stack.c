// twin of type-only-on-stack
// cc: clang
// flags: -g
// expect: changed function f code
// expect: refused type_changed Walk
#include "kernel.h"

typedef struct {
	int depth;
#ifdef POST
	int limit;
#endif
} Walk;
int f(int a)
{
	Walk w = { a };
	use(&w);
	return other(w.depth);
}
