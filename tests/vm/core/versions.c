// SPDX-License-Identifier: GPL-2.0
/*
 * A target whose functions check each other: version_outer() calls the others, with sleeps and
 * preemption in between, and counts answers that are not of its own version. The threads call it
 * all the time. Old code says 0, the update says 1.
 */
#include <linux/atomic.h>
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/sched.h>

static atomic_t mixed = ATOMIC_INIT(0);
static atomic_t rounds[2];
static unsigned int nr_threads = 4;
module_param(nr_threads, uint, 0444);
static struct task_struct *threads[64];

int version_inner_a(int depth);
int version_inner_b(int depth);
void version_outer(unsigned int n);
void version_count(int own, int bad);

noinline int version_inner_a(int depth)
{
	return depth > 1 ? version_inner_b(depth - 1) : 0;
}

noinline int version_inner_b(int depth)
{
	if (depth > 1 && version_inner_a(depth - 1))
		return 1;
	return 0;
}

void version_count(int own, int bad)
{
	atomic_inc(&rounds[own]);
	atomic_add(bad, &mixed);
}
EXPORT_SYMBOL_GPL(version_count);

noinline void version_outer(unsigned int n)
{
	int bad = version_inner_a(1) != 0;

	if (n % 16 == 0)
		usleep_range(10, 200);
	else
		cond_resched();
	bad += version_inner_b(2) != 0;
	bad += version_inner_a(3) != 0;
	version_count(0, bad);
}

static int version_thread(void *unused)
{
	unsigned int n = 0;

	while (!kthread_should_stop()) {
		version_outer(n++);
		if (n % 2)
			usleep_range(1000, 3000);
	}
	return 0;
}

static int show(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "mixed %d old %d new %d\n", atomic_read(&mixed),
			  atomic_read(&rounds[0]), atomic_read(&rounds[1]));
}

static const struct kernel_param_ops show_ops = { .get = show };
module_param_cb(counts, &show_ops, NULL, 0444);

static int __init versions_init(void)
{
	unsigned int i;

	for (i = 0; i < min_t(unsigned int, nr_threads, ARRAY_SIZE(threads)); i++) {
		threads[i] = kthread_run(version_thread, NULL, "version/%u", i);
		if (IS_ERR(threads[i]))
			threads[i] = NULL;
	}
	return 0;
}

static void __exit versions_exit(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(threads); i++)
		if (threads[i])
			kthread_stop(threads[i]);
}

module_init(versions_init);
module_exit(versions_exit);
MODULE_DESCRIPTION("functions that check each other's version");
MODULE_LICENSE("GPL");
