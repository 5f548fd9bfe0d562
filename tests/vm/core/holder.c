// SPDX-License-Identifier: GPL-2.0
/* A module that uses something of the update module ksplice_one, and so keeps it. */
#include <linux/module.h>

extern int ksplice_one_export;

static int __init holder_init(void)
{
	ksplice_one_export++;
	return 0;
}

static void __exit holder_exit(void)
{
	ksplice_one_export--;
}

module_init(holder_init);
module_exit(holder_exit);
MODULE_DESCRIPTION("keeps an update module");
MODULE_LICENSE("GPL");
