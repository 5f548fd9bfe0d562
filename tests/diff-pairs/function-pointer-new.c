// expect: changed function f code
// expect: new function h
#include "kernel.h"

static int g(int a) { return other(a); }
#ifdef POST
static int h(int a) { return another(a); }
#endif
void f(int a)
{
#ifdef POST
	use(a ? g : h);
#else
	use(g);
#endif
}
