// Sites of other functions move in __mcount_loc when one before them is new.
// expect: new function e
#include "kernel.h"

#define SITE(name) asm(".pushsection __mcount_loc,\"a\"\n.quad " #name "\n.popsection")
#ifdef POST
int e(int a) { return another(a); }
SITE(e);
#endif
int f(int a) { return other(a); }
SITE(f);
