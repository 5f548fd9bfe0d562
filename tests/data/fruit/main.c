// SPDX-License-Identifier: GPL-2.0
// Out-of-tree module for tests/vm/module_source.sh: /proc/fruit shows a fruit and a count.
#include <linux/module.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>

#include "fruit.h"

static unsigned int reads;

static int fruit_show(struct seq_file *m, void *v)
{
	WARN_ON(!m);
	seq_printf(m, "%s %u\n", fruit_name(reads % 3), FRUIT_WEIGHT * (reads + 1));
	++reads;
	return 0;
}

static int __init fruit_init(void)
{
	return proc_create_single("fruit", 0444, NULL, fruit_show) ? 0 : -ENOMEM;
}

static void __exit fruit_exit(void)
{
	remove_proc_entry("fruit", NULL);
}

module_init(fruit_init);
module_exit(fruit_exit);
MODULE_DESCRIPTION("Shows a fruit");
MODULE_LICENSE("GPL");
