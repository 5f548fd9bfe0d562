// SPDX-License-Identifier: GPL-2.0
/* Update for tests: system calls that are called all the time, doing what the old ones do. */
#include <linux/cred.h>
#include <linux/module.h>
#include <linux/pid.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/user_namespace.h>

static noinline long new_getpid(const struct pt_regs *regs)
{
	return task_tgid_vnr(current);
}

static noinline long new_getuid(const struct pt_regs *regs)
{
	return from_kuid_munged(current_user_ns(), current_uid());
}

static noinline long new_getgid(const struct pt_regs *regs)
{
	return from_kgid_munged(current_user_ns(), current_gid());
}

static noinline int new_cmdline(struct seq_file *m, void *v)
{
	seq_puts(m, "new\n");
	return 0;
}

#define UPDATE_ID "load"
#define UPDATE_TARGET "vmlinux"
#define UPDATE_OBJECTS 2
#define UPDATE_FUNCTIONS(F) \
	F(__x64_sys_getpid, new_getpid) F(__x64_sys_getuid, new_getuid) \
	F(__x64_sys_getgid, new_getgid) F(cmdline_proc_show, new_cmdline)
#include "update.h"
