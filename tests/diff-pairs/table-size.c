// Entries of sizes that are in no list: the relocations come again and again after as many bytes.
// What replaces code counts, wherever an entry of such a size tells its length.
// expect: changed function g special
#include "kernel.h"

#define ENTRY(table, entry) \
	asm volatile("771: nop\n772:\n.pushsection " table ",\"a\"\n" entry ".popsection")
#define ALTERNATIVE(code)                                                   \
	asm volatile(".pushsection .altinstr_replacement,\"ax\"\n"          \
		     "773: " code "\n774:\n.popsection");                    \
	ENTRY(".altinstructions", ".long 771b-., 773b-., 11\n"               \
				  ".byte 772b-771b, 774b-773b\n.short 0\n")
#define PARAVIRT \
	ENTRY(".parainstructions", ".balign 8\n.quad 771b\n.byte 3, 772b-771b\n.short 4\n")
#define TRAP ENTRY("__bug_table", ".long 771b-., 0\n.short 1, 2\n.long 5, 6\n")

void f(void)
{
	PARAVIRT;
	ALTERNATIVE("nop");
	PARAVIRT;
	TRAP;
}
void g(void)
{
#ifdef POST
	ALTERNATIVE("cld");
#else
	ALTERNATIVE("nop");
#endif
	PARAVIRT;
}
