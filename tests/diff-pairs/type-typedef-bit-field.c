// flags: -g
// expect: changed function f code
// expect: refused type_changed Node
#include "kernel.h"

#ifdef POST
typedef struct { unsigned long flags : 3, state : 5; char *name; } Node;
#else
typedef struct { unsigned long flags : 4, state : 4; char *name; } Node;
#endif
int f(Node *n) { return other(n->state) + n->name[0]; }
