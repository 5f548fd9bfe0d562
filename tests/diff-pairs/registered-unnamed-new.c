// A PCI quirk is assembly without a name: one that is new would never run.
// expect: changed function f code
// expect: new function young
// expect: refused registration_changed young
#include "kernel.h"

#define QUIRK(device, hook)                                                          \
	asm(".pushsection .pci_fixup_final, \"a\"; .balign 16; .short 0x8086, " #device  \
	    "; .long 0, 0; .long " #hook " - .; .popsection")
void quirk(void) { other(1); }
QUIRK(0x1234, quirk);
#ifdef POST
void young(void) { other(2); }
QUIRK(0x1235, young);
#endif
int f(int a)
{
#ifdef POST
	a += 3;
#endif
	return other(a);
}
