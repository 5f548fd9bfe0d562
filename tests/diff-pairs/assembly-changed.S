// expect: changed function f code
// expect: refused assembly f
.text
	.globl f
	.type f, @function
f:
#ifdef POST
	movl $2, %eax
#else
	movl $1, %eax
#endif
	ret
	.size f, . - f
