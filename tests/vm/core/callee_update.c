// SPDX-License-Identifier: GPL-2.0
/* Update for tests: the new code of another function is the first to call cmdline_proc_show(). */
#include <linux/seq_file.h>

static noinline int new_uptime(struct seq_file *m, void *v)
{
	seq_puts(m, "new\n");
	return 0;
}

#define UPDATE_ID "caller"
#define UPDATE_TARGET "vmlinux"
#define UPDATE_OBJECTS 1
#define UPDATE_CALLEE "cmdline_proc_show"
#define UPDATE_UNIT "fs/proc/uptime.o"
#define UPDATE_FUNCTIONS(F) F(uptime_proc_show, new_uptime)
#include "update.h"
