// SPDX-License-Identifier: GPL-2.0
/* Update for tests: asking for the priority of a process is denied. BPF may change what that function returns. */
#include <linux/errno.h>
#include <linux/module.h>
#include <linux/sched.h>

static noinline int new_getioprio(struct task_struct *task)
{
	return -EXDEV;
}

#define UPDATE_ID "security"
#define UPDATE_TARGET "vmlinux"
#define UPDATE_OBJECTS 1
#define UPDATE_FUNCTIONS(F) F(security_task_getioprio, new_getioprio)
#include "update.h"
