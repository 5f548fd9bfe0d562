// expect: changed function f code
// expect: refused assembly f
.text
	.globl f
	.type f, @function
f:
	testl %edi, %edi
#ifdef POST
	je 2f
#else
	je 1f
#endif
	movl $2, %eax
1:	incl %eax
2:	ret
	.size f, . - f
