.text
	.globl f
	.type f, @function
f:
	testl %edi, %edi
#ifdef POST
	.byte 0x0f, 0x84
	.long 1f - . - 4
#else
	je 1f
#endif
	movl $2, %eax
1:	ret
	.size f, . - f
