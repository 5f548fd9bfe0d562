// twin of assembly-changed: g grows, and so f begins and is filled elsewhere
// expect: changed function g code
// expect: refused assembly g
.text
	.globl g
	.type g, @function
g:
#ifdef POST
	incl %eax
#endif
	ret
	.size g, . - g
	.globl f
	.type f, @function
f:
	testl %edi, %edi
	je 1f
	.balign 16, 0x90
2:	movl $2, %eax
	decl %edi
	jne 2b
1:	ret
	.size f, . - f
