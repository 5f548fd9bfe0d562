// flags: -g
// expect: changed function f code
// expect: changed function g code
// expect: new data ids
// expect: removed data idas
// expect: refused state_lost ids
#include "kernel.h"

struct ida { int lock; void *root; };
#ifdef POST
#define idas ids
#endif
static struct ida idas = { 1 };
void f(void) { use(&idas); other(3); }
void g(void) { use(&idas); }
