/* SPDX-License-Identifier: GPL-2.0 */
/*
 * COUNTER(old, new): what stands for the function in ksplice_function.counter, counter_old; a jump to new
 * until the core writes there.
 */
#define COUNTER(old, new) \
	extern char counter_##old[]; \
	asm(".pushsection .text; .balign 32; .type counter_" #old ", @function; counter_" #old ":\n" \
	    "jmp " #new "; .skip 27, 0xcc; .size counter_" #old ", 32; .popsection")
