// SPDX-License-Identifier: GPL-2.0
/* Update for tests: replaces functions of target.c, or of the copy of it called target2. */
#include <linux/delay.h>
#include <linux/sysfs.h>

#include "hooks.h"

static noinline int new_answer(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "new\n");
}

static noinline int new_sleep(const char *value, const struct kernel_param *kp)
{
	unsigned int ms;
	int ret = kstrtouint(value, 0, &ms);

	if (!ret)
		msleep_interruptible(ms);
	return ret;
}

#define UPDATE_ID "multi"
#define UPDATE_OBJECTS 3
#define UPDATE_FUNCTIONS(F) F(answer_get, new_answer) F(sleep_set, new_sleep)
#include "update.h"
