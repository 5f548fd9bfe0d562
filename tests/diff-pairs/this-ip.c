// expect: changed function f code
#include "kernel.h"

void f(void)
{
#ifdef POST
	other(3);
#endif
	here: use(&&here);
}
void g(void) { here: use(&&here); other(2); }
