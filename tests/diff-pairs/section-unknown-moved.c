// The entries of a section that is not known are about code, and come in its order: they move with
// the functions.
// flags: -fno-toplevel-reorder
// cc: gcc
#include "kernel.h"

#define ENTRY asm volatile("771: nop\n.pushsection .strange,\"a\"\n.long 771b-., 5\n.popsection")
#define FUNCTION(name, add) \
	int name(int x) { ENTRY; return x + add; }

FUNCTION(f, 1)
#ifdef POST
FUNCTION(h, 3)
FUNCTION(g, 2)
#else
FUNCTION(g, 2)
FUNCTION(h, 3)
#endif
