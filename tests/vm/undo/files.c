// SPDX-License-Identifier: GPL-2.0
// What stands behind files, and what the kernel asks when memory, names or objects are wanted.
#include <linux/anon_inodes.h>
#include <linux/cdev.h>
#include <linux/debugfs.h>
#include <linux/idr.h>
#include <linux/kobject.h>
#include <linux/miscdevice.h>
#include <linux/shrinker.h>
#include <linux/sysctl.h>
#include <linux/sysfs.h>
#include <linux/xarray.h>

#include "giver.h"

/* The guest reads the files and shrinks the caches each time it pokes. */
#define POKE_BY_GUEST(name) POKE(name) { msleep(1); }

HITS(proc_ops);
#ifdef PATCH_proc_ops
static ssize_t proc_ops_read(struct file *file, char __user *to, size_t size, loff_t *at)
{
	proc_ops_hits += 1000;
	return 0;
}
static const struct proc_ops proc_ops_new = { .proc_read = proc_ops_read };
#endif
GIVE(proc_ops)
{
#ifdef PATCH_proc_ops
	proc_create("giver_ops", 0400, NULL, &proc_ops_new);
#else
	proc_ops_hits++;
#endif
}
POKE_BY_GUEST(proc_ops)

HITS(proc_single);
#ifdef PATCH_proc_single
static int proc_single_new(struct seq_file *m, void *v)
{
	proc_single_hits += 1000;
	seq_printf(m, "%ps\n", proc_single_new);
	return 0;
}
#endif
GIVE(proc_single)
{
#ifdef PATCH_proc_single
	proc_create_single("giver_single", 0400, NULL, proc_single_new);
#else
	proc_single_hits++;
#endif
}
POKE_BY_GUEST(proc_single)

HITS(proc_seq);
static int proc_seq_at;
#ifdef PATCH_proc_seq
static void *proc_seq_start(struct seq_file *m, loff_t *at) { return *at ? NULL : &proc_seq_at; }
static void *proc_seq_next(struct seq_file *m, void *v, loff_t *at) { ++*at; return NULL; }
static void proc_seq_stop(struct seq_file *m, void *v) { }
static int proc_seq_show(struct seq_file *m, void *v) { proc_seq_hits += 1000; return 0; }
static const struct seq_operations proc_seq_new = {
	.start = proc_seq_start, .next = proc_seq_next, .stop = proc_seq_stop, .show = proc_seq_show,
};
#endif
GIVE(proc_seq)
{
#ifdef PATCH_proc_seq
	proc_create_seq("giver_seq", 0400, NULL, &proc_seq_new);
#else
	proc_seq_hits += proc_seq_at + 1;
#endif
}
POKE_BY_GUEST(proc_seq)

/* The operations of a device that is there already. */
HITS(live_fops);
static ssize_t live_fops_old(struct file *file, char __user *to, size_t size, loff_t *at)
{
	live_fops_hits++;
	return 0;
}
static const struct file_operations live_fops_before = { .read = live_fops_old };
static struct miscdevice live_fops_device = { MISC_DYNAMIC_MINOR, "giver_live", &live_fops_before };
#ifdef PATCH_live_fops
static ssize_t live_fops_read(struct file *file, char __user *to, size_t size, loff_t *at)
{
	live_fops_hits += 1000;
	return 0;
}
static const struct file_operations live_fops_after = { .read = live_fops_read };
#endif
GIVE(live_fops)
{
	if (!live_fops_device.this_device)
		misc_register(&live_fops_device);
#ifdef PATCH_live_fops
	live_fops_device.fops = &live_fops_after;
#endif
}
POKE_BY_GUEST(live_fops)

/* A device of the update, whose name is a text of the update. */
HITS(misc);
#ifdef PATCH_misc
static ssize_t misc_read(struct file *file, char __user *to, size_t size, loff_t *at)
{
	misc_hits += 1000;
	return 0;
}
static const struct file_operations misc_fops = { .read = misc_read };
static struct miscdevice misc_new = { MISC_DYNAMIC_MINOR, "giver_misc", &misc_fops };
#endif
GIVE(misc)
{
#ifdef PATCH_misc
	misc_register(&misc_new);
#else
	misc_hits++;
#endif
}
POKE_BY_GUEST(misc)

HITS(cdev);
struct cdev cdev_live;
static dev_t cdev_number __maybe_unused;
#ifdef PATCH_cdev
static int cdev_open(struct inode *inode, struct file *file)
{
	cdev_hits += 1000;
	return -ENODEV;
}
static const struct file_operations cdev_fops = { .open = cdev_open };
#endif
GIVE(cdev)
{
#ifdef PATCH_cdev
	if (!alloc_chrdev_region(&cdev_number, 0, 1, "giver_cdev")) {
		cdev_init(&cdev_live, &cdev_fops);
		cdev_add(&cdev_live, cdev_number, 1);
	}
#else
	cdev_hits += cdev_live.count + 1;
#endif
}
POKE(cdev)
{
	if (cdev_live.ops)
		cdev_live.ops->open(NULL, NULL);
}

/* A file that stays open over the undo. */
HITS(open_file);
struct file *open_file_live;
#ifdef PATCH_open_file
static ssize_t open_file_read(struct kiocb *iocb, struct iov_iter *to)
{
	open_file_hits += 1000;
	return 0;
}
static const struct file_operations open_file_fops = { .read_iter = open_file_read };
#endif
GIVE(open_file)
{
#ifdef PATCH_open_file
	open_file_live = anon_inode_getfile("given", &open_file_fops, NULL, O_RDONLY);
#else
	open_file_hits++;
#endif
}
POKE(open_file)
{
	char text[8];
	loff_t at = 0;

	if (!IS_ERR_OR_NULL(open_file_live))
		kernel_read(open_file_live, text, sizeof(text), &at);
}

HITS(debugfs);
#ifdef PATCH_debugfs
static int debugfs_get(void *data, u64 *value)
{
	debugfs_hits += 1000;
	*value = 7;
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(debugfs_fops, debugfs_get, NULL, "%llu\n");
#endif
GIVE(debugfs)
{
#ifdef PATCH_debugfs
	debugfs_create_file_unsafe("giver_file", 0400, NULL, NULL, &debugfs_fops);
#else
	debugfs_hits++;
#endif
}
POKE_BY_GUEST(debugfs)

/* A number of the update that a file of the kernel's shows. */
HITS(debugfs_number);
#ifdef PATCH_debugfs_number
static u32 debugfs_number_new = 1000;
#endif
GIVE(debugfs_number)
{
#ifdef PATCH_debugfs_number
	debugfs_create_u32("giver_number", 0600, NULL, &debugfs_number_new);
	debugfs_number_hits += debugfs_number_new;
#else
	debugfs_number_hits++;
#endif
}
POKE_BY_GUEST(debugfs_number)

HITS(sysfs);
struct kobject *sysfs_live;
#ifdef PATCH_sysfs
static ssize_t sysfs_new_show(struct kobject *kobj, struct kobj_attribute *attribute, char *text)
{
	sysfs_hits += 1000;
	return sysfs_emit(text, "7\n");
}
static struct kobj_attribute sysfs_new = __ATTR(given, 0400, sysfs_new_show, NULL);
#endif
GIVE(sysfs)
{
	if (!sysfs_live)
		sysfs_live = kobject_create_and_add("giver_sysfs", kernel_kobj);
#ifdef PATCH_sysfs
	if (sysfs_create_file(sysfs_live, &sysfs_new.attr))
		sysfs_hits = -1;
#endif
}
POKE_BY_GUEST(sysfs)

HITS(bin_attribute);
struct kobject *bin_attribute_live;
#ifdef PATCH_bin_attribute
static ssize_t bin_attribute_read(struct file *file, struct kobject *kobj, struct bin_attribute *attribute,
				  char *to, loff_t at, size_t size)
{
	bin_attribute_hits += 1000;
	return 0;
}
static struct bin_attribute bin_attribute_new = __BIN_ATTR(given, 0400, bin_attribute_read, NULL, 0);
#endif
GIVE(bin_attribute)
{
	if (!bin_attribute_live)
		bin_attribute_live = kobject_create_and_add("giver_bin", kernel_kobj);
#ifdef PATCH_bin_attribute
	if (sysfs_create_bin_file(bin_attribute_live, &bin_attribute_new))
		bin_attribute_hits = -1;
#endif
}
POKE_BY_GUEST(bin_attribute)

/* A kobject with a type of the update: its release is called when it is put. */
HITS(kobject);
struct kobject kobject_live[64];
static int kobject_put_next, kobject_made;
static void kobject_old_release(struct kobject *kobj) { kobject_hits++; }
static const struct kobj_type kobject_old = { .release = kobject_old_release };
#ifdef PATCH_kobject
static void kobject_new_release(struct kobject *kobj) { kobject_hits += 1000; }
static const struct kobj_type kobject_new = { .release = kobject_new_release };
#endif
GIVE(kobject)
{
	while (kobject_made < ARRAY_SIZE(kobject_live)) {
		kobject_init(&kobject_live[kobject_made++], &kobject_old);
	}
#ifdef PATCH_kobject
	for (kobject_made = 0; kobject_made < ARRAY_SIZE(kobject_live); kobject_made++)
		kobject_live[kobject_made].ktype = &kobject_new;
#endif
}
POKE(kobject)
{
	if (kobject_put_next < kobject_made)
		kobject_put(&kobject_live[kobject_put_next++]);
}

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 6, 0)
#define SYSCTL_END { }
#else
#define SYSCTL_END
#endif
HITS(sysctl);
#ifdef PATCH_sysctl
static int sysctl_value = 5;
static struct ctl_table sysctl_new[] = {
	{ .procname = "giver_value", .data = &sysctl_value, .maxlen = sizeof(int), .mode = 0600,
	  .proc_handler = proc_dointvec },
	SYSCTL_END
};
#endif
GIVE(sysctl)
{
#ifdef PATCH_sysctl
	if (register_sysctl("kernel/giver", sysctl_new))
		sysctl_hits += 1000;
#else
	sysctl_hits++;
#endif
}
POKE_BY_GUEST(sysctl)

HITS(shrinker);
struct shrinker *shrinker_live;
static unsigned long shrinker_old(struct shrinker *shrinker, struct shrink_control *control)
{
	shrinker_hits++;
	return 0;
}
#ifdef PATCH_shrinker
static unsigned long shrinker_new(struct shrinker *shrinker, struct shrink_control *control)
{
	shrinker_hits += 1000;
	return 0;
}
#endif
static void shrinker_make(void)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 7, 0)
	static struct shrinker made = { .count_objects = shrinker_old, .scan_objects = shrinker_old,
					.seeks = DEFAULT_SEEKS };

	shrinker_live = register_shrinker(&made, "giver") ? NULL : &made;
#else
	shrinker_live = shrinker_alloc(0, "giver");
	shrinker_live->count_objects = shrinker_old;
	shrinker_live->scan_objects = shrinker_old;
	shrinker_register(shrinker_live);
#endif
}
GIVE(shrinker)
{
	if (!shrinker_live)
		shrinker_make();
#ifdef PATCH_shrinker
	shrinker_live->count_objects = shrinker_new;
#endif
}
POKE_BY_GUEST(shrinker)

HITS(slab_ctor);
struct kmem_cache *slab_ctor_live;
#ifdef PATCH_slab_ctor
static void slab_ctor_new(void *object) { slab_ctor_hits += 1000; }
#endif
GIVE(slab_ctor)
{
#ifdef PATCH_slab_ctor
	slab_ctor_live = kmem_cache_create("given_slab", 1000, 0, 0, slab_ctor_new);
#else
	slab_ctor_hits++;
#endif
}
POKE(slab_ctor)
{
	int i;

	for (i = 0; slab_ctor_live && i < 50; i++)
		kmem_cache_alloc(slab_ctor_live, GFP_KERNEL);
}

/* Data of the update in trees and tables of the kernel's. */
struct given { int *hits; };
HITS(xarray);
DEFINE_XARRAY(xarray_live);
#ifdef PATCH_xarray
static struct given xarray_new = { &xarray_hits };
#endif
GIVE(xarray)
{
#ifdef PATCH_xarray
	xa_store(&xarray_live, 5, &xarray_new, GFP_KERNEL);
#else
	xarray_hits++;
#endif
}
POKE(xarray)
{
	struct given *given = xa_load(&xarray_live, 5);

	if (given)
		*given->hits += 1000;
}

HITS(idr);
DEFINE_IDR(idr_live);
#ifdef PATCH_idr
static struct given idr_new = { &idr_hits };
#endif
GIVE(idr)
{
#ifdef PATCH_idr
	idr_alloc(&idr_live, &idr_new, 1, 2, GFP_KERNEL);
#else
	idr_hits++;
#endif
}
POKE(idr)
{
	struct given *given = idr_find(&idr_live, 1);

	if (given)
		*given->hits += 1000;
}

static const struct giver givers[] = {
	GIVER(proc_ops), GIVER(proc_single), GIVER(proc_seq), GIVER(live_fops), GIVER(misc), GIVER(cdev),
	GIVER(open_file), GIVER(debugfs), GIVER(debugfs_number), GIVER(sysfs), GIVER(bin_attribute), GIVER(kobject),
	GIVER(sysctl), GIVER(shrinker), GIVER(slab_ctor), GIVER(xarray), GIVER(idr),
};
GIVERS(files);
