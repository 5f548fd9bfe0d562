// expect: refused export_changed f
// expect: refused export_changed g
#include "kernel.h"

/* As until 6.3, and since. */
#define EXPORT_NS(name, space)                                                           \
	EXPORT(name, "_gpl");                                                            \
	asm(".pushsection __ksymtab_strings,\"aMS\",@progbits,1\n__kstrtabns_" #name ":\n" \
	    ".asciz \"" space "\"\n.popsection")
#define EXPORT64_NS(name, space)                                                         \
	asm(".pushsection .export_symbol,\"a\"\n__export_symbol_" #name ":\n"            \
	    ".asciz \"GPL\"\n.asciz \"" space "\"\n.balign 8\n.quad " #name "\n.popsection")
int f(int a) { return other(a); }
int g(int a) { return other(-a); }
#ifdef POST
EXPORT_NS(f, "SPACE");
EXPORT64_NS(g, "SPACE");
#else
EXPORT_NS(f, "");
EXPORT64_NS(g, "");
#endif
