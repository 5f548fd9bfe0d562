// Which functions lose their ENDBR is objtool's work, made anew for the update.
#include "kernel.h"

int f(int a) { return other(a); }
#ifdef POST
asm(".pushsection .ibt_endbr_seal,\"a\"\n.long f - .\n.popsection");
#endif
