// SPDX-License-Identifier: GPL-2.0
/*
 * Two tracers whose callbacks call what is traced: reading the file "third" calls the function at the address
 * function= (of the kind of a parameter's get) at the third nesting, where ftrace lets calls go by, and gives its
 * answer.
 */
#include <linux/ftrace.h>
#include <linux/mm.h>
#include <linux/module.h>

typedef int (*get_t)(char *buffer, const struct kernel_param *kp);

static unsigned long function;
module_param(function, ulong, 0);

static char answer[PAGE_SIZE] __aligned(PAGE_SIZE);
static unsigned long first_site, second_site;

void nesting_first(void);
noinline void nesting_first(void) { asm volatile("" ::: "memory"); }
EXPORT_SYMBOL_GPL(nesting_first);

void nesting_second(void);
noinline void nesting_second(void) { asm volatile("" ::: "memory"); }
EXPORT_SYMBOL_GPL(nesting_second);

static void notrace trace(unsigned long ip, unsigned long parent, struct ftrace_ops *ops, struct ftrace_regs *regs)
{
	if (ip == first_site)
		nesting_second();
	else if (ip == second_site)
		((get_t)function)(answer, NULL);
}

static void notrace trace_too(unsigned long ip, unsigned long parent, struct ftrace_ops *ops, struct ftrace_regs *regs)
{
}

static struct ftrace_ops ops = { .func = trace };
static struct ftrace_ops other = { .func = trace_too };

static int show_third(char *buffer, const struct kernel_param *kp)
{
	answer[0] = 0;
	nesting_first();
	return sysfs_emit(buffer, "%s", answer[0] ? answer : "not called\n");
}

static const struct kernel_param_ops third_ops = { .get = show_third };
module_param_cb(third, &third_ops, NULL, 0400);

static int start(struct ftrace_ops *tracer)
{
	int ret = ftrace_set_filter_ip(tracer, first_site, 0, 1);

	if (!ret)
		ret = ftrace_set_filter_ip(tracer, second_site, 0, 0);
	return ret ?: register_ftrace_function(tracer);
}

/* The site is the function, or behind its ENDBR; a wrong one is refused. */
static unsigned long site(void *address)
{
	return (unsigned long)address + (*(u8 *)address == 0xf3 || *(u8 *)address == 0x66 ? 4 : 0);
}

static int __init nesting_init(void)
{
	int ret;

	first_site = site(nesting_first);
	second_site = site(nesting_second);
	ret = start(&ops);
	if (!ret)
		ret = ftrace_set_filter_ip(&ops, site((void *)function), 0, 0);
	return ret ?: start(&other);
}

static void __exit nesting_exit(void)
{
	unregister_ftrace_function(&other);
	unregister_ftrace_function(&ops);
	ftrace_free_filter(&other);
	ftrace_free_filter(&ops);
}

module_init(nesting_init);
module_exit(nesting_exit);
MODULE_DESCRIPTION("calls a function at the third nesting of tracers");
MODULE_LICENSE("GPL");
