// SPDX-License-Identifier: GPL-2.0
/* A module to be patched: its file answers with a number, and can be made to sleep in the function. */
#include <linux/delay.h>
#include <linux/kobject.h>
#include <linux/module.h>
#include <linux/sysfs.h>

static int answer_get(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "old\n");
}

static int sleep_set(const char *value, const struct kernel_param *kp)
{
	unsigned int ms;
	int ret = kstrtouint(value, 0, &ms);

	if (!ret)
		msleep_interruptible(ms);
	return ret;
}

/* So that the one before it has an end. */
void target_end(void);
noinline void target_end(void) { asm volatile("" ::: "memory"); }

static bool tell, fail_init;
static unsigned int init_ms;
module_param(init_ms, uint, 0);
module_param(tell, bool, 0);
module_param(fail_init, bool, 0);

static int __init target_init(void)
{
	/* As everybody who is no part of it calls it. */
	int (*volatile get)(char *buffer, const struct kernel_param *kp) = answer_get;
	char *buffer;

	msleep(init_ms);
	if (tell) {
		buffer = (char *)get_zeroed_page(GFP_KERNEL);
		if (!buffer)
			return -ENOMEM;
		get(buffer, NULL);
		pr_info("hook init of %s: %s", THIS_MODULE->name, buffer);
		free_page((unsigned long)buffer);
	}
	return fail_init ? -ENXIO : 0;
}

static void __exit target_exit(void) {}

module_init(target_init);
module_exit(target_exit);
static const struct kernel_param_ops answer_ops = { .get = answer_get };
static const struct kernel_param_ops sleep_ops = { .set = sleep_set };
module_param_cb(answer, &answer_ops, NULL, 0444);
module_param_cb(sleep, &sleep_ops, NULL, 0200);
MODULE_DESCRIPTION("target for tests of ksplice");
MODULE_LICENSE("GPL");
