// SPDX-License-Identifier: GPL-2.0
/* The first function of many.c, patched by the kernel's own livepatch, to compare the cost. */
#include <linux/livepatch.h>
#include <linux/module.h>

static int livepatch_many(int x)
{
	asm volatile("");
	return x + 1000 + 100;
}

static struct klp_func functions[] = { { .old_name = "many_100", .new_func = livepatch_many }, {} };
static struct klp_object objects[] = { { .name = "many", .funcs = functions }, {} };
static struct klp_patch patch = { .mod = THIS_MODULE, .objs = objects };

static int __init livepatch_init(void)
{
	return klp_enable_patch(&patch);
}

static void __exit livepatch_exit(void)
{
}

module_init(livepatch_init);
module_exit(livepatch_exit);
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");
