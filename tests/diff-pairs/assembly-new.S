// expect: new function g
.text
	.globl f
	.type f, @function
f:
	movl $1, %eax
	ret
	.size f, . - f
#ifdef POST
	.globl g
	.type g, @function
g:	ret
	.size g, . - g
#endif
