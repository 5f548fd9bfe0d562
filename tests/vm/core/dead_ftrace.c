// SPDX-License-Identifier: GPL-2.0
/* Has ftrace shut itself down, as it does when it finds code that it did not expect; kill= is ftrace_kill(). */
#include <linux/module.h>

static unsigned long kill;
module_param(kill, ulong, 0);

static int __init dead_ftrace_init(void)
{
	((void (*)(void))kill)();
	return -ECANCELED;
}

module_init(dead_ftrace_init);
MODULE_DESCRIPTION("shuts ftrace down");
MODULE_LICENSE("GPL");
