// SPDX-License-Identifier: GPL-2.0
/* The kernel's own livepatch of the same function as cmdline.c, or of another. */
#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/seq_file.h>

#ifndef LIVEPATCH_OLD
#define LIVEPATCH_OLD "cmdline_proc_show"
#endif

static int livepatch_cmdline(struct seq_file *m, void *v)
{
	seq_puts(m, "written by livepatch\n");
	return 0;
}

static struct klp_func functions[] = {
	{ .old_name = LIVEPATCH_OLD, .new_func = livepatch_cmdline }, {}
};
static struct klp_object objects[] = { { .funcs = functions }, {} };
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
MODULE_DESCRIPTION("a livepatch");
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");
