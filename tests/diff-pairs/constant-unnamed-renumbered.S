// clang's private constants have numbers that a new one before them moves.
// expect: new data __unnamed
// expect: new function e
.macro user name, constant, value
	.section .text.\name, "ax"
	.globl \name
	.type \name, @function
\name:	movl \constant(%rip), %eax
	ret
	.size \name, . - \name
	.section .rodata.\constant, "a"
	.type \constant, @object
\constant: .long \value
	.size \constant, 4
.endm
#ifdef POST
user e, __unnamed_1, 7
user f, __unnamed_2, 9
#else
user f, __unnamed_1, 9
#endif
