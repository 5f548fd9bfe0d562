// SPDX-License-Identifier: GPL-2.0
/*
 * A thousand functions to be patched, and two measurements: the file "call" says what a call of
 * the first of them costs, in hundredths of a tick of the TSC (of an instruction, under qemu
 * -icount shift=0), "stop" how many nanoseconds an empty stop_machine() takes, as the least of 20.
 */
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/stop_machine.h>
#include <linux/sysfs.h>
#include <asm/msr.h>

#include "many.h"

#define DEFINE(n) \
	int many_##n(int x); \
	noinline int many_##n(int x) { asm volatile(""); return x + 1000 + n; } \
	EXPORT_SYMBOL_GPL(many_##n);
EACH(DEFINE)

#define CALLS 100000

static int show_call(char *buffer, const struct kernel_param *kp)
{
	unsigned long flags;
	u64 start, ticks;
	int i;

	local_irq_save(flags);
	start = rdtsc_ordered();
	for (i = 0; i < CALLS; i++)
		many_100(i);
	ticks = rdtsc_ordered() - start;
	local_irq_restore(flags);
	return sysfs_emit(buffer, "%llu\n", ticks / (CALLS / 100));
}

static int nothing(void *unused)
{
	return 0;
}

static int show_stop(char *buffer, const struct kernel_param *kp)
{
	u64 best = U64_MAX;
	int i;

	for (i = 0; i < 20; i++) {
		u64 start = ktime_get_ns();

		stop_machine(nothing, NULL, NULL);
		best = min(best, ktime_get_ns() - start);
	}
	return sysfs_emit(buffer, "%llu\n", best);
}

static const struct kernel_param_ops call_ops = { .get = show_call };
static const struct kernel_param_ops stop_ops = { .get = show_stop };
module_param_cb(call, &call_ops, NULL, 0444);
module_param_cb(stop, &stop_ops, NULL, 0444);
MODULE_DESCRIPTION("a thousand functions");
MODULE_LICENSE("GPL");
