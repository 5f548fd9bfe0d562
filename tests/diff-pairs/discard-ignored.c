#include "kernel.h"

int f(int a) { return other(a); }
#ifdef POST
asm(".pushsection .discard.x,\"a\"\n.long f\n.popsection");
#endif
