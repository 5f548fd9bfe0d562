// In a section that is not known the order may count, unless it is that of the code.
// expect: refused unknown_section what is
#include "kernel.h"

void f(void) { use(0); }
void g(void) { use(g); }
#define ENTRY(function) asm(".pushsection .strange,\"a\"\n.quad " #function ", 5\n.popsection")
#ifdef POST
ENTRY(g);
ENTRY(f);
#else
ENTRY(f);
ENTRY(g);
#endif
