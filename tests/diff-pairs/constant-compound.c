// cc: gcc
// expect: changed function f constant
#include "kernel.h"

struct s { int a, b, c, d, e, g, h, i; };
void f(void)
{
	use(&(const struct s){ 1, 2, 3, 4, 5, 6, 7,
#ifdef POST
8
#else
9
#endif
});
}
