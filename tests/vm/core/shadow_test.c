// SPDX-License-Identifier: GPL-2.0
/* Calls every function of the interface to shadow variables, and logs what came of it. */
#include <linux/module.h>
#include <linux/slab.h>

#include "ksplice-patch.h"

static bool once;
module_param(once, bool, 0);
MODULE_PARM_DESC(once, "only attach one");
static int objects[3];
static unsigned int nr_done;
static long first_done, sum_done;

/* With PREEMPT_RT a lock that is not raw leaves them on, and its owner can be interrupted. */
static void check_interrupts(const char *what)
{
	if (!irqs_disabled())
		pr_info("shadow %s: interrupts are on\n", what);
}

static int set(const void *object, void *data, void *argument)
{
	check_interrupts("init");
	*(int *)data = *(int *)argument;
	return 0;
}

static int refuse(const void *object, void *data, void *argument)
{
	return -EINVAL;
}

static void done(const void *object, void *data)
{
	check_interrupts("done");
	/* For all objects, in the order of the hash table. */
	if (!nr_done++)
		first_done = (const int *)object - objects;
	sum_done += *(int *)data;
}

static void show(const char *what, int i, unsigned long id)
{
	int *data = ksplice_shadow_get(&objects[i], id);

	if (data)
		pr_info("shadow %s: object %d id %lu holds %d\n", what, i, id, *data);
	else
		pr_info("shadow %s: object %d id %lu has none\n", what, i, id);
}

static int __init shadow_test_init(void)
{
	int one = 1, two = 2, i;
	int *first, *again;

	if (once) {
		first = ksplice_shadow_attach(&objects[0], 9, sizeof(int), GFP_KERNEL, set, &one);
		pr_info("shadow attach: %s\n", first ? "done" : "no memory");
		return 0;
	}
	show("at first", 0, 1);
	first = ksplice_shadow_attach(&objects[0], 1, sizeof(int), GFP_KERNEL, set, &one);
	show("attached", 0, 1);
	show("other id", 0, 2);
	show("other object", 1, 1);
	if (ksplice_shadow_attach(&objects[0], 1, sizeof(int), GFP_KERNEL, set, &two))
		pr_info("shadow attached twice\n");
	again = ksplice_shadow_get_or_attach(&objects[0], 1, sizeof(int), GFP_KERNEL, set, &two);
	pr_info("shadow get_or_attach: %s, holds %d\n", again == first ? "the same" : "another", *again);
	if (ksplice_shadow_attach(&objects[0], 3, sizeof(int), GFP_KERNEL, refuse, NULL))
		pr_info("shadow attached although refused\n");
	show("refused", 0, 3);
	again = ksplice_shadow_attach(&objects[2], 7, 4097, GFP_ATOMIC, NULL, NULL);
	pr_info("shadow zeroed: %s, aligned: %s\n", memchr_inv(again, 0, 4097) ? "no" : "yes",
		(unsigned long)again % 8 ? "no" : "yes");
	for (i = 1; i < 3; i++) {
		int value = 10 * i;

		ksplice_shadow_get_or_attach(&objects[i], 1, sizeof(int), GFP_KERNEL, set, &value);
		show("get_or_attach", i, 1);
	}
	ksplice_shadow_free(&objects[0], 1, done);
	show("freed", 0, 1);
	ksplice_shadow_free(&objects[0], 1, done);
	pr_info("shadow done %u time(s): object %ld held %ld\n", nr_done, first_done, sum_done);
	nr_done = 0;
	sum_done = 0;
	ksplice_shadow_free_all(1, done);
	pr_info("shadow done %u time(s): they held %ld\n", nr_done, sum_done);
	show("freed all", 1, 1);
	show("freed all", 2, 1);
	pr_info("shadow id 7: %s\n", ksplice_shadow_get(&objects[2], 7) ? "stays" : "is gone");
	return 0;
}

static void __exit shadow_test_exit(void)
{
}

module_init(shadow_test_init);
module_exit(shadow_test_exit);
MODULE_DESCRIPTION("calls the interface to shadow variables");
MODULE_LICENSE("GPL");
