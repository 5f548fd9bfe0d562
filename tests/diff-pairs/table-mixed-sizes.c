// Entries of two sizes: nothing says where one begins.
// expect: changed function f code
// expect: refused unknown_section
#include "kernel.h"

#define ENTRY(more) \
	asm volatile("771: nop\n.pushsection .altinstructions,\"a\"\n" \
		     ".long 771b-., 771b-., 11, 0\n" more ".popsection")

int f(int x)
{
	ENTRY(".long 0\n");
	ENTRY("");
	ENTRY("");
#ifdef POST
	return x + 1;
#else
	return x;
#endif
}
