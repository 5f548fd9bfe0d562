// expect: refused unknown_section what is
#include "kernel.h"

#ifdef POST
asm(".pushsection quirks,\"a\"\n.quad f, 2\n.popsection");
#else
asm(".pushsection quirks,\"a\"\n.quad f, 1\n.popsection");
#endif
int f(int a) { return other(a); }
