// SPDX-License-Identifier: GPL-2.0
/*
 * A module for vm.independent: /proc/ledger. The compiler sees what note() does not do, and may keep what it
 * has read across a call of it.
 */
#include <linux/module.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>

static int total;
static int notes;

static noinline void note(void)
{
	notes++;
}

static int ledger_show(struct seq_file *m, void *v)
{
	note();
	seq_printf(m, "%d\n", total);
	return 0;
}

static int __init ledger_init(void)
{
	total = 1;
	return proc_create_single("ledger", 0444, NULL, ledger_show) ? 0 : -ENOMEM;
}

static void __exit ledger_exit(void)
{
	remove_proc_entry("ledger", NULL);
}

module_init(ledger_init);
module_exit(ledger_exit);
MODULE_DESCRIPTION("a test of ksplice");
MODULE_LICENSE("GPL");
