/* SPDX-License-Identifier: GPL-2.0 */
/*
 * All ten hooks, for updates of tests: they log their names; the parameter fail names one that refuses.
 * Include it before update.h.
 */
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/string.h>

static char *fail = "";
module_param(fail, charp, 0644);

static int hook(const char *name)
{
	bool refuses = sysfs_streq(name, fail);

	pr_info("hook %s of %s%s\n", name, THIS_MODULE->name, refuses ? " refuses" : "");
	return refuses ? -ENODEV : 0;
}

#define INT_HOOK(kind) static int kind(void) { return hook(#kind); }
#define VOID_HOOK(kind) static void kind(void) { hook(#kind); }

INT_HOOK(pre_apply)
INT_HOOK(check_apply)
VOID_HOOK(apply)
VOID_HOOK(post_apply)
VOID_HOOK(fail_apply)
INT_HOOK(pre_reverse)
INT_HOOK(check_reverse)
VOID_HOOK(reverse)
VOID_HOOK(post_reverse)
VOID_HOOK(fail_reverse)

#define HOOK(kind) static void *const kind##_hooks[] = { kind }
HOOK(pre_apply);
HOOK(check_apply);
HOOK(apply);
HOOK(post_apply);
HOOK(fail_apply);
HOOK(pre_reverse);
HOOK(check_reverse);
HOOK(reverse);
HOOK(post_reverse);
HOOK(fail_reverse);

#define UPDATE_HOOKS { \
	{ P(pre_apply_hooks), 1 }, { P(check_apply_hooks), 1 }, { P(apply_hooks), 1 }, \
	{ P(post_apply_hooks), 1 }, { P(fail_apply_hooks), 1 }, { P(pre_reverse_hooks), 1 }, \
	{ P(check_reverse_hooks), 1 }, { P(reverse_hooks), 1 }, { P(post_reverse_hooks), 1 }, \
	{ P(fail_reverse_hooks), 1 } }
