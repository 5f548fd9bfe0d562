// twin of type-bytes-widened
// flags: -g
// expect: changed function f code
// expect: refused type_changed struct map
#include "kernel.h"

#ifdef POST
struct map { unsigned char *bits; char **names; };
#else
struct map { unsigned int *bits; char **names; };
#endif
int f(struct map *m, int i) { return other(m->bits[i]) + *m->names[i]; }
