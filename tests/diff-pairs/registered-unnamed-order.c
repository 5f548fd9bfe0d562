// twin of registered-unnamed-new: the same ones in another order
#include "kernel.h"

#define QUIRK(device, hook)                                                          \
	asm(".pushsection .pci_fixup_final, \"a\"; .balign 16; .short 0x8086, " #device  \
	    "; .long 0, 0; .long " #hook " - .; .popsection")
void quirk(void) { other(1); }
void quirk2(void) { other(2); }
#ifdef POST
QUIRK(0x1235, quirk2);
QUIRK(0x1234, quirk);
#else
QUIRK(0x1234, quirk);
QUIRK(0x1235, quirk2);
#endif
int f(int a) { return other(a); }
