// Whether the new one stands for the old one, the types do not say.
// flags: -g
// expect: changed function f code
// expect: changed function g code
// expect: changed function h code
// expect: new data fresh
// expect: removed data old
// expect: new data ids
// expect: removed data list
// expect: refused state_lost ids
// expect: note old is not
#include "kernel.h"

struct ida { int lock; void *root; };
struct list { void *next, *prev; };
#ifdef POST
static int fresh = 3;
static struct ida ids = { 1 };
int f(void) { return other(1); }
int g(void) { return fresh++; }
void h(void) { use(&ids); }
#else
static int old = 3;
static struct list list = { &list, &list };
int f(void) { return old++; }
int g(void) { return other(2); }
void h(void) { use(&list); }
#endif
