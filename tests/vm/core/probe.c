// SPDX-License-Identifier: GPL-2.0
/*
 * A kprobe on cmdline_proc_show, or on symbol=, or at an offset in it, with or without a post handler, armed or with disabled=1 not; with ret=1 a
 * kretprobe, which counts only returns of 0.
 */
#include <linux/kprobes.h>
#include <linux/module.h>

static bool post, ret, disabled;
static unsigned int offset;
static unsigned int hits;
module_param(post, bool, 0444);
module_param(ret, bool, 0444);
module_param(disabled, bool, 0444);
module_param(offset, uint, 0444);
module_param(hits, uint, 0444);

static int handle_pre(struct kprobe *p, struct pt_regs *regs)
{
	hits++;
	return 0;
}

static void handle_post(struct kprobe *p, struct pt_regs *regs, unsigned long flags)
{
}

static int handle_return(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	hits += !regs_return_value(regs);
	return 0;
}

static char *symbol = "cmdline_proc_show";
module_param(symbol, charp, 0444);

static struct kprobe probe = { .pre_handler = handle_pre };
static struct kretprobe return_probe = { .handler = handle_return };

static int __init probe_init(void)
{
	probe.symbol_name = symbol;
	return_probe.kp.symbol_name = symbol;
	probe.offset = offset;
	if (post)
		probe.post_handler = handle_post;
	if (disabled)
		probe.flags = KPROBE_FLAG_DISABLED;
	return ret ? register_kretprobe(&return_probe) : register_kprobe(&probe);
}

static void __exit probe_exit(void)
{
	if (ret)
		unregister_kretprobe(&return_probe);
	else
		unregister_kprobe(&probe);
}

module_init(probe_init);
module_exit(probe_exit);
MODULE_DESCRIPTION("a kprobe or kretprobe on cmdline_proc_show");
MODULE_LICENSE("GPL");
