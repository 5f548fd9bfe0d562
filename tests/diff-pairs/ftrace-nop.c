// Without -mrecord-mcount, recordmcount makes a nop of the tracer's call in a section that it does
// not know (.text.f), and names the tracer in a relocation that says nothing else: in the kernel's
// own .text it is a site. A nop alone is none; nor is it seen here whether a function without one
// (h) has none in the kernel.
// cc: gcc
// expect: changed function f code
// expect: changed function g code
// expect: changed function h code
// expect: refused no_ftrace_site g
// expect: refused no_ftrace_site h
#include "kernel.h"

#ifdef POST
#define ADD 2
#else
#define ADD 1
#endif
#define NOP "661: .byte 0x0f, 0x1f, 0x44, 0x00, 0x00\n"
#define notrace __attribute__((no_instrument_function))

notrace int f(int x)
{
	asm volatile(NOP ".reloc 661b+1, R_X86_64_NONE, __fentry__-4");
	return x + ADD;
}
notrace int g(int x)
{
	asm volatile(NOP);
	return x - ADD;
}
notrace int h(int x)
{
	return other(x * 7) + ADD;
}
