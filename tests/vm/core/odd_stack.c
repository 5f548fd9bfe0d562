// SPDX-License-Identifier: GPL-2.0
/* A module whose file can be made to sleep in a function that the unwinder knows nothing of. */
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/objtool.h>

int odd_sleep(unsigned int ms);

static int __attribute__((no_reorder)) sleep_set(const char *value, const struct kernel_param *kp)
{
	unsigned int ms;
	int ret = kstrtouint(value, 0, &ms);

	if (!ret)
		odd_sleep(ms);
	return ret;
}

/* Not first: the table of the unwinder would have no entry for it, and the next one would be taken. */
noinline int __attribute__((no_reorder)) odd_sleep(unsigned int ms)
{
	int left = msleep_interruptible(ms);

	/* Not a tail call: this function has to be on the stack. */
	barrier();
	return left;
}
STACK_FRAME_NON_STANDARD(odd_sleep);

static const struct kernel_param_ops sleep_ops = { .set = sleep_set };
module_param_cb(sleep, &sleep_ops, NULL, 0200);
MODULE_DESCRIPTION("sleeps on a stack that cannot be walked");
MODULE_LICENSE("GPL");
