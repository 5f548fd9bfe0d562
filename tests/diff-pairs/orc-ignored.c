#include "kernel.h"

int f(int a) { return other(a); }
#ifdef POST
asm(".pushsection .orc_unwind_ip,\"a\"\n.long f - .\n.popsection\n.pushsection .orc_unwind,\"a\"\n.short 8, 0, 5\n.popsection");
#else
asm(".pushsection .orc_unwind_ip,\"a\"\n.long f - .\n.popsection\n.pushsection .orc_unwind,\"a\"\n.short 16, 0, 5\n.popsection");
#endif
