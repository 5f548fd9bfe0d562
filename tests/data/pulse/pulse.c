// SPDX-License-Identifier: GPL-2.0
/* /proc/pulse shows eight counters; writing to it arms what counts them: nothing, as long as no update does. */
#include <linux/hrtimer.h>
#include <linux/interrupt.h>
#include <linux/kobject.h>
#include <linux/kthread.h>
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/timer.h>
#include <linux/version.h>
#include <linux/workqueue.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 13, 0)
static inline void hrtimer_setup(struct hrtimer *timer, enum hrtimer_restart (*function)(struct hrtimer *),
				 clockid_t clock, enum hrtimer_mode mode)
{
	hrtimer_init(timer, clock, mode);
	timer->function = function;
}
#endif

static unsigned int pulses[8];

static noinline int pulse_arm(void)
{
	return -EINVAL;
}

static int pulse_show(struct seq_file *m, void *v)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(pulses); i++)
		seq_printf(m, "%u\n", READ_ONCE(pulses[i]));
	return 0;
}

static int pulse_open(struct inode *inode, struct file *file)
{
	return single_open(file, pulse_show, NULL);
}

static ssize_t pulse_write(struct file *file, const char __user *buf, size_t size, loff_t *pos)
{
	int ret = pulse_arm();

	return ret ? ret : size;
}

static const struct proc_ops pulse_ops = {
	.proc_open = pulse_open,
	.proc_read = seq_read,
	.proc_write = pulse_write,
	.proc_release = single_release,
};

static int __init pulse_init(void)
{
	pulses[0] = 0; /* a variable that nobody writes would be a constant */
	return proc_create("pulse", 0600, NULL, &pulse_ops) ? 0 : -ENOMEM;
}

static void __exit pulse_exit(void)
{
	remove_proc_entry("pulse", NULL);
}

module_init(pulse_init);
module_exit(pulse_exit);
MODULE_LICENSE("GPL");
