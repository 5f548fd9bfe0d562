// twin of assembly-changed: padding only
.text
	.globl f
	.type f, @function
f:
	testl %edi, %edi
	je 1f
#ifdef POST
	nop
	nopl 8(%rax)
#endif
	movl $2, %eax
1:	ret
	.size f, . - f
