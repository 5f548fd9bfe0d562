// expect: note "f" in _error_injection_whitelist
#include "kernel.h"

int f(int a) { return other(a); }
#ifdef POST
asm(".pushsection _error_injection_whitelist,\"a\"\n.quad f, 2\n.popsection");
#endif
