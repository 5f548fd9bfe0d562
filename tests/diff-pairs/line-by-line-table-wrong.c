// twin of line-by-line-table: 500 and 510 are on no line
// flags: -g
// expect: changed function f code
#include "kernel.h"

void mark(int line);
void f(void)
{
#ifdef POST
	mark(510);
#else
	mark(500);
#endif
}
