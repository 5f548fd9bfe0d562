// An object has a copy of the table, which a switch of the table would not reach.
// flags: -g
// expect: changed data table
// expect: refused data_changed table
#include "kernel.h"

static int g(int a) { return other(a) + 1; }
static int h(int a) { return other(a) + 2; }
struct ops { int (*a)(int), (*b)(int), (*c)(int); };
struct ops table = { g,
#ifdef POST
g
#else
h
#endif
, h };
struct device { long id; struct ops ops; };
void probe(struct device *d) { d->ops = table; }
int f(struct device *d) { return d->ops.b(1) + g(2) + h(3); }
