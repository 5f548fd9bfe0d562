// SPDX-License-Identifier: GPL-2.0
/* A module to be patched of which no function has an ftrace site. The file "answers" calls them all. */
#include <linux/module.h>
#include <linux/sysfs.h>

#define BARE(name) \
	int name(int); \
	notrace __attribute__((noipa)) int name(int n)

BARE(bare_plain)
{
	asm volatile("" : "+r"(n) : : "memory");
	return n * 3 + 1;
}
EXPORT_SYMBOL_GPL(bare_plain);

BARE(bare_short)
{
	return 1;
}
EXPORT_SYMBOL_GPL(bare_short);

/* Calls itself, which is no hindrance. */
BARE(bare_recursive)
{
	asm volatile("" : "+r"(n) : : "memory");
	return n ? bare_recursive(n - 1) * 3 + 1 : 1;
}
EXPORT_SYMBOL_GPL(bare_recursive);

/* Its loop begins with its first instruction. */
BARE(bare_loop)
{
	asm volatile("1: sub $1, %0; jg 1b" : "+r"(n));
	return n + 1;
}
EXPORT_SYMBOL_GPL(bare_loop);

/* Its loop begins with its second instruction. */
BARE(bare_inner)
{
	asm volatile("xorl %%eax, %%eax; 1: subl $1, %0; jg 1b" : "+r"(n) : : "eax");
	return n + 2;
}
EXPORT_SYMBOL_GPL(bare_inner);

/* Its second instruction leads into the five bytes behind the first three, two bytes from their begin. */
BARE(bare_branch)
{
	asm volatile("testl %0, %0; jz 1f; movl %0, %0; movl %0, %%eax; 1: leal 5(%q0), %%eax; movl %%eax, %0"
		     : "+r"(n) : : "eax");
	return n;
}
EXPORT_SYMBOL_GPL(bare_branch);

/* It has what may be a place for somebody else's call. */
BARE(bare_nop)
{
	asm volatile(".byte 0x0f, 0x1f, 0x44, 0, 0" : "+r"(n));
	return n * 3 + 1;
}
EXPORT_SYMBOL_GPL(bare_nop);

int bare_noinstr(int n);
noinstr int bare_noinstr(int n)
{
	asm volatile("" : "+r"(n) : : "memory");
	return n * 3 + 1;
}
EXPORT_SYMBOL_GPL(bare_noinstr);

static int show_answers(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%d %d %d %d %d %d %d %d\n", bare_plain(0), bare_short(0), bare_recursive(0),
			  bare_loop(0), bare_nop(0), bare_noinstr(0), bare_inner(0), bare_branch(0));
}

static const struct kernel_param_ops answers = { .get = show_answers };
module_param_cb(answers, &answers, NULL, 0444);
MODULE_DESCRIPTION("target without ftrace sites for tests of ksplice");
MODULE_LICENSE("GPL");
