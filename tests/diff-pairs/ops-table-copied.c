// twin of ops-table-assigned: by a function
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
void *kmemdup(const void *from, unsigned long size, unsigned flags);
struct ops *probe(void) { return kmemdup(&table, sizeof(table), 1); }
int f(int a) { return g(a) + h(a); }
