// expect: changed function f code
#include "kernel.h"

void report(void *sb, const char *function, unsigned line, int nr);
void f(void *sb)
{
#ifdef POST
	report(sb, __func__, 20, 340);
#else
	report(sb, __func__, 20, 330);
#endif
}
