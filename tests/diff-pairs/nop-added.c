// expect: changed function f code
// A nop of the author's, even where it reaches an aligned place.
#include "kernel.h"

void f(int a)
{
	other(a);
#ifdef POST
	asm volatile(".balign 16, 0x90");
#endif
	another(a);
}
