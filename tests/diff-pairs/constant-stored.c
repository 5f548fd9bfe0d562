// Live objects have the address of a constant: they go on with the old one.
// flags: -g
// expect: changed function probe constant
// expect: changed data chip
// expect: refused data_changed chip
#include "kernel.h"

struct chip { int id, max, step; };
struct device { const struct chip *chip; };
#ifdef POST
static const struct chip chip = { 1, 90, 5 };
#else
static const struct chip chip = { 1, 100, 5 };
#endif
void probe(struct device *d) { d->chip = &chip; }
int limit(const struct device *d) { return d->chip->max; }
