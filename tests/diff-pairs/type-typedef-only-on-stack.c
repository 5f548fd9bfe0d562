// twin of type-typedef-unnamed
// cc: clang
// flags: -g
// expect: changed function f code
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
