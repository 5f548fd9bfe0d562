// flags: -g
// expect: changed function g code
// expect: refused type_changed struct pair
#include "kernel.h"

struct pair {
	unsigned long first, second;
}
#ifdef POST
__attribute__((aligned(16)))
#endif
;
unsigned long f(struct pair *p) { return p->first + p->second; }
unsigned long g(struct pair *p)
{
#ifdef POST
	return p->first - p->second - 1;
#else
	return p->first - p->second;
#endif
}
