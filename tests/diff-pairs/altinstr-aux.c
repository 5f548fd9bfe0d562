// What static_cpu_has() jumps to before the alternatives are applied is a part of its function.
// expect: changed function f code
#include "kernel.h"

#ifdef POST
#define BIT "2"
#else
#define BIT "1"
#endif
int f(int a)
{
	asm volatile("jmp 6f\n5:\n.pushsection .altinstr_aux,\"ax\"\n6: testb $" BIT
		     ", flags(%%rip)\njmp 5b\n.popsection" ::: "cc");
	return other(a);
}
