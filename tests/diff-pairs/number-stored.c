// flags: -g
// expect: changed function f code
#include "kernel.h"

struct pair { int count, most; };
#ifdef POST
#define MOST 1024
#else
#define MOST 1027
#endif
#line 1022
void f(struct pair *p)
{
	other(1);
	p->most = MOST;


	other(2);
}
