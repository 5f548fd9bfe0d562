// twin of altinstr-aux: the place of a function's part moves
// expect: new function e
#include "kernel.h"

#define TEST(bit)                                                                        \
	asm volatile("jmp 6f\n5:\n.pushsection .altinstr_aux,\"ax\"\n6: testb $" bit     \
		     ", flags(%%rip)\njmp 5b\n.popsection" ::: "cc")
#ifdef POST
int e(int a) { TEST("2"); return other(a); }
#endif
int f(int a) { TEST("1"); return other(a); }
