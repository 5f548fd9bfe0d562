// flags: -g
// expect: changed function f code
// expect: refused type_changed struct value
#include "kernel.h"

struct value {
	int kind;
	union {
		struct { short low, high; };
#ifdef POST
		long long wide;
#else
		int wide;
#endif
	} u;
	int end;
};
int f(struct value *v) { return other(v->u.wide) + v->end; }
