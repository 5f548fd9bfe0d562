// A type without a tag goes by its typedef.
// flags: -g
// expect: changed function f code
// expect: refused type_changed Node
#include "kernel.h"

typedef struct {
	long next;
#ifdef POST
	int runs;
#endif
	int flags : 3, state : 5;
	char *name;
} Node;
int f(Node *n) { return other(n->state) + n->name[0]; }
