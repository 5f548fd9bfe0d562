// The hash of the unwinder's format, since 6.4.
#include "kernel.h"

int f(int a) { return other(a); }
#ifdef POST
asm(".pushsection .orc_header,\"a\"\n.quad 1\n.popsection");
#else
asm(".pushsection .orc_header,\"a\"\n.quad 2\n.popsection");
#endif
