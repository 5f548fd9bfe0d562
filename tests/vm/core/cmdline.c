// SPDX-License-Identifier: GPL-2.0
/* Update for tests: /proc/cmdline says who wrote it. All ten hooks log their names. */
#include <linux/seq_file.h>

#include "hooks.h"

#ifndef UPDATE_ID
#define UPDATE_ID "one"
#endif

static noinline int new_cmdline(struct seq_file *m, void *v)
{
	seq_printf(m, "written by %s\n", THIS_MODULE->name);
	return 0;
}

#ifdef UPDATE_EXPORT
/* Something that another module can need, see holder.c. */
int ksplice_one_export;
EXPORT_SYMBOL_GPL(ksplice_one_export);
#endif

#define UPDATE_TARGET "vmlinux"
#ifndef UPDATE_OBJECTS
#define UPDATE_OBJECTS 1
#endif
#define UPDATE_FUNCTIONS(F) F(cmdline_proc_show, new_cmdline)
#include "update.h"
