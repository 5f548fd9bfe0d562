// twin of ops-table-assigned: another unit makes the copy, if there is one
// flags: -g
// expect: changed data table
// expect: refused data_changed table
#include "kernel.h"

static int g(int a) { return other(a) + 1; }
static int h(int a) { return other(a) + 2; }
struct ops { int (*a)(int), (*b)(int), (*c)(int); };
static const struct ops table = { g,
#ifdef POST
g
#else
h
#endif
, h };
struct device { long id; struct ops ops[2]; };
const struct info { const struct ops *ops; } info = { &table };
int f(struct device *d) { return d->ops[1].b(1) + g(2) + h(3); }
