// expect: new data quirk
// expect: refused unknown_section quirk
#include "kernel.h"

#ifdef POST
static int quirk __attribute__((section("quirks"), used)) = 1;
#endif
int f(int a) { return other(a); }
