// expect: changed function f code
// expect: refused assembly f
.text
	.globl f
	.type f, @function
f:
	testl %edi, %edi
#ifdef POST
	jne 1f
#else
	je 1f
#endif
	movl $2, %eax
1:	ret
	.size f, . - f
