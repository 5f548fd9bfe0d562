// Code asks whether an object has this constant: with a copy, none has.
// cc: gcc
// flags: -g
// expect: changed function run code
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
int run(const struct device *d) { return d->chip == &chip ? other(chip.max) : 0; }
