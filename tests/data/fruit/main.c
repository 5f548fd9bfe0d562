// SPDX-License-Identifier: GPL-2.0
// Out-of-tree module for tests/vm/module_source.sh: /proc/fruit shows a fruit and a count.
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>

#include "fruit.h"

static DEFINE_PER_CPU(unsigned int, fruit_reads);

static int fruit_show(struct seq_file *m, void *v)
{
	unsigned int *reads = per_cpu_ptr(&fruit_reads, 0);

	WARN_ON(!m);
	seq_printf(m, "%s %u\n", fruit_name(*reads % 3), FRUIT_WEIGHT * (*reads + 1));
	++*reads;
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
