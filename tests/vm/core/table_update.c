// SPDX-License-Identifier: GPL-2.0
/* Update for tests: another entry in a table of operations of target.c, which is read-only. */
#include <linux/delay.h>
#include <linux/module.h>

static unsigned int sleep_ms;
module_param_named(sleep, sleep_ms, uint, 0600);

static int new_answer_get(char *buffer, const struct kernel_param *kp)
{
	if (sleep_ms)
		msleep_interruptible(sleep_ms);
	return sysfs_emit(buffer, UPDATE_ID "\n");
}

#define UPDATE_TARGET "target"
#define UPDATE_OBJECTS 1
#define UPDATE_FUNCTIONS(F)
#define UPDATE_POINTER new_answer_get
#include "update.h"
