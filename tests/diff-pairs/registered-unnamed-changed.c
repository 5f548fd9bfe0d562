// One of an old function for another device is new, too, whatever else changes; the one before is noted.
// expect: note quirk in .pci_fixup_final
// expect: refused registration_changed quirk
#include "kernel.h"

#define QUIRK(device, hook)                                                          \
	asm(".pushsection .pci_fixup_final, \"a\"; .balign 16; .short 0x8086, " #device  \
	    "; .long 0, 0; .long " #hook " - .; .popsection")
void quirk(void) { other(1); }
#ifdef POST
QUIRK(0x1235, quirk);
#else
QUIRK(0x1234, quirk);
#endif
int f(int a) { return other(a); }
