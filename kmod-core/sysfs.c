// SPDX-License-Identifier: GPL-2.0
/*
 * The state of all updates, in /sys/kernel/ksplice/ID/. Every file is text; files of one value end
 * in a newline.
 *
 *  stage         rw  preparing, applied or reversed. Writing "applied" applies the update (again:
 *                    the members that came later), "reversed" undoes it, "check" only says whether
 *                    it could be applied now. The write returns when it is done; it fails with an
 *                    errno and leaves the reason in the next three.
 *  working       r   1 while an operation goes on after its write has returned: so it is if the
 *                    writer itself was in code that is to be replaced (an update of vfs_write). Wait
 *                    for 0 before looking at the result
 *  abort_cause   r   code word of the last operation: ok, no_match, code_busy, module_busy,
 *                    out_of_memory, no_ftrace_site, already_reversed, unexpected_running_task,
 *                    unexpected, target_not_loaded, call_failed, conflict, ftrace_off, interrupted
 *  abort_message r   a sentence for it; empty if ok
 *  conflicts     r   evidence. For code_busy: lines "task COMM pid PID is in FUNCTION", each
 *                    followed by its stack, one line "  symbol+offset/size" a frame. For no_match:
 *                    "function NAME offset 0xN address A", "expected BYTES", "found    BYTES".
 *                    For conflict: "function NAME is redirected by OWNER". For module_busy: "update
 *                    UPPER stands on update ID", "function NAME is traced by OWNER".
 *  description   r   as given when the update was made
 *  order         r   n-th update applied since the core was loaded, 0 if never applied
 *  targets       r   lines "NAME MODULE STATE": target, its update module, and applied, pending, or
 *                    kept: reversed, and in memory for good
 *  kept          r   what of the update may be in use after it is reversed, a line each; its module
 *                    then stays. Empty: nothing, it can be unloaded
 *  stands_on     r   ids of the earlier updates whose code it replaces, or whose functions or data it
 *                    uses; empty if none
 *  functions     r   lines "NAME OLD NEW CALLS TARGET REDIRECT": run address, address of the new body,
 *                    calls since applied (- if they never were counted), target, and how calls
 *                    are redirected: jump, handler WHY, or - if they are not; jump
 *                    overridden by OWNER if somebody else took the function since
 *  attempts      rw  how often to try the switch
 *  timeout_ms    rw  how long to go on trying
 *  partial       rw  "0", or names of the targets that are left out: the update is applied to those
 *                    that are registered, and waits for the others (late.c)
 *  settle        rw  0: keep all functions on the handler
 *  count_calls   rw  1: count the calls that a jump redirects, too; from now on, or not, if the update is
 *                    applied, with abort_cause as for stage
 *  allow_busy    rw  names of functions whose old body may stay on stacks; old and new may then run
 *                    side by side
 *  old_code      r   tasks that are still in code that the update replaced, because of allow_busy:
 *                    lines "task COMM pid PID is in FUNCTION"
 *  pause_ns      r   time that the machine stood still in the last switch
 *  stop_ns       r   time of the whole call of stop_machine()
 *  tries         r   tries of the last operation
 *  tasks, walked r   tasks that the last switch looked at, and those whose stack it had to walk
 *                    while the machine stood still
 *
 * Parameters of the core: /sys/module/ksplice/parameters/{count_calls,settle,fail_alloc}, and for targets
 * that come later {late,late_timeout_ms,helper} (late.c).
 */
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/sysfs.h>

#include "core.h"

struct kset *ksplice_kset;

struct ksplice_attribute {
	struct attribute attr;
	ssize_t (*show)(struct ksplice_update *update, char *buf);
	ssize_t (*store)(struct ksplice_update *update, const char *buf, size_t count);
};

static struct ksplice_update *ksplice_to_update(struct kobject *kobj)
{
	return container_of(kobj, struct ksplice_update, kobj);
}

/* Takes the mutex; fails if the update is being removed. */
static int ksplice_lock(struct ksplice_update *update)
{
	if (mutex_lock_interruptible(&ksplice_mutex))
		return -EINTR;
	if (!update->gone)
		return 0;
	mutex_unlock(&ksplice_mutex);
	return -ENODEV;
}

static ssize_t stage_show(struct ksplice_update *update, char *buf)
{
	return sysfs_emit(buf, "%s\n", ksplice_stage_word(READ_ONCE(update->stage)));
}

static ssize_t stage_store(struct ksplice_update *update, const char *buf, size_t count)
{
	int ret;

	if (update->working)
		return -EBUSY;
	if (sysfs_streq(buf, "applied"))
		ret = ksplice_operate(update, KSPLICE_APPLIED);
	else if (sysfs_streq(buf, "reversed"))
		ret = ksplice_operate(update, KSPLICE_REVERSED);
	else if (sysfs_streq(buf, "check"))
		ret = ksplice_check(update);
	else
		ret = -EINVAL;
	return ret ? ret : count;
}

static ssize_t abort_cause_show(struct ksplice_update *update, char *buf)
{
	return sysfs_emit(buf, "%s\n", ksplice_cause_word(READ_ONCE(update->cause)));
}

static ssize_t abort_message_show(struct ksplice_update *update, char *buf)
{
	return sysfs_emit(buf, "%s\n", update->message);
}

static ssize_t description_show(struct ksplice_update *update, char *buf)
{
	return sysfs_emit(buf, "%s\n", update->description);
}

static const char *ksplice_member_word(const struct ksplice_member *member)
{
	if (member->batch)
		return "applied";
	return member->stays ? "kept" : "pending";
}

static ssize_t targets_show(struct ksplice_update *update, char *buf)
{
	struct ksplice_member *member;
	int ret = ksplice_lock(update);

	if (ret)
		return ret;
	list_for_each_entry(member, &update->members, list)
		ret += sysfs_emit_at(buf, ret, "%s %s %s\n", ksplice_str(member->object->target),
				     member->module->name, ksplice_member_word(member));
	mutex_unlock(&ksplice_mutex);
	return ret;
}

static ssize_t kept_show(struct ksplice_update *update, char *buf)
{
	const struct ksplice_update *user;
	struct ksplice_member *member;
	int ret = ksplice_lock(update);
	unsigned int nr;

	if (ret)
		return ret;
	list_for_each_entry(member, &update->members, list) {
		user = ksplice_staying_user(member, &nr);
		if (member->object->kept)
			ret += sysfs_emit_at(buf, ret, "%s", ksplice_str(member->object->kept));
		if (user)
			ret += sysfs_emit_at(buf, ret,
					     "it is used by update %s, which stays in memory\n",
					     user->id);
	}
	mutex_unlock(&ksplice_mutex);
	return ret;
}

/* The parts of an update for several targets stand on the same updates, or on fewer. */
static bool ksplice_need_listed(const struct ksplice_update *update,
				const struct ksplice_need *need)
{
	const struct ksplice_member *member;
	u32 i;

	list_for_each_entry(member, &update->members, list)
		for (i = 0; i < member->object->nr_needs; i++) {
			const struct ksplice_need *other = &ksplice_needs(member->object)[i];

			if (other == need)
				return false;
			if (!strcmp(ksplice_str(other->id), ksplice_str(need->id)))
				return true;
		}
	return false;
}

static ssize_t stands_on_show(struct ksplice_update *update, char *buf)
{
	struct ksplice_member *member;
	int ret = ksplice_lock(update);
	u32 i;

	if (ret)
		return ret;
	list_for_each_entry(member, &update->members, list)
		for (i = 0; i < member->object->nr_needs; i++) {
			const struct ksplice_need *need = &ksplice_needs(member->object)[i];

			if (!ksplice_need_listed(update, need))
				ret += sysfs_emit_at(buf, ret, "%s%s", ret ? " " : "",
						     ksplice_str(need->id));
		}
	ret += sysfs_emit_at(buf, ret, "\n");
	mutex_unlock(&ksplice_mutex);
	return ret;
}

#define KSPLICE_SHOW_NUMBER(name, format) \
static ssize_t name##_show(struct ksplice_update *update, char *buf) \
{ \
	return sysfs_emit(buf, format "\n", update->name); \
}

#define KSPLICE_STORE_NUMBER(name) \
static ssize_t name##_store(struct ksplice_update *update, const char *buf, size_t count) \
{ \
	unsigned int value; \
	int ret = kstrtouint(buf, 0, &value); \
	if (ret) \
		return ret; \
	update->name = value; \
	return count; \
}

KSPLICE_SHOW_NUMBER(working, "%u")
KSPLICE_SHOW_NUMBER(order, "%u")
KSPLICE_SHOW_NUMBER(attempts, "%u")
KSPLICE_STORE_NUMBER(attempts)
KSPLICE_SHOW_NUMBER(timeout_ms, "%u")
KSPLICE_STORE_NUMBER(timeout_ms)
KSPLICE_SHOW_NUMBER(settle, "%u")
KSPLICE_STORE_NUMBER(settle)
KSPLICE_SHOW_NUMBER(count_calls, "%u")
KSPLICE_SHOW_NUMBER(pause_ns, "%llu")
KSPLICE_SHOW_NUMBER(stop_ns, "%llu")
KSPLICE_SHOW_NUMBER(tries, "%u")
KSPLICE_SHOW_NUMBER(tasks, "%u")
KSPLICE_SHOW_NUMBER(walked, "%u")

static ssize_t count_calls_store(struct ksplice_update *update, const char *buf, size_t count)
{
	bool on;
	int ret = update->working ? -EBUSY : kstrtobool(buf, &on);

	if (!ret)
		ret = ksplice_count(update, on);
	return ret ? ret : count;
}

/* Replaces a list of names. */
static int ksplice_store_names(char **names, const char *buf, size_t count)
{
	char *copy = ksplice_alloc(count + 1);
	char *old = *names;

	if (!copy)
		return -ENOMEM;
	memcpy(copy, buf, count);
	strim(copy);
	raw_spin_lock(&ksplice_late_lock);
	*names = copy;
	raw_spin_unlock(&ksplice_late_lock);
	kvfree(old);
	return 0;
}

/* The names are shown under the mutex: a writer frees the old ones. */
static ssize_t ksplice_show_names(struct ksplice_update *update, char *const *names,
				  const char *none, char *buf)
{
	int ret = ksplice_lock(update);

	if (ret)
		return ret;
	ret = sysfs_emit(buf, "%s\n", *names && **names ? *names : none);
	mutex_unlock(&ksplice_mutex);
	return ret;
}

static ssize_t partial_show(struct ksplice_update *update, char *buf)
{
	return ksplice_show_names(update, &update->skipped, update->partial ? "1" : "0", buf);
}

static ssize_t partial_store(struct ksplice_update *update, const char *buf, size_t count)
{
	int ret;

	update->partial = !sysfs_streq(buf, "0") && !sysfs_streq(buf, "");
	if (!update->partial || sysfs_streq(buf, "1"))
		ret = ksplice_store_names(&update->skipped, "", 0);
	else
		ret = ksplice_store_names(&update->skipped, buf, count);
	return ret ? ret : count;
}

static ssize_t allow_busy_show(struct ksplice_update *update, char *buf)
{
	return ksplice_show_names(update, &update->allow_busy, "", buf);
}

static ssize_t allow_busy_store(struct ksplice_update *update, const char *buf, size_t count)
{
	int ret = ksplice_store_names(&update->allow_busy, buf, count);

	return ret ? ret : count;
}

static ssize_t old_code_show(struct ksplice_update *update, char *buf)
{
	int ret = ksplice_lock(update);

	if (ret)
		return ret;
	ret = ksplice_list_old(update, buf);
	mutex_unlock(&ksplice_mutex);
	return ret;
}

/* What can hold addresses of kernel code is for root only: abort_message, functions, conflicts. */
#define KSPLICE_RO(name) \
static struct ksplice_attribute name##_attribute = __ATTR(name, 0444, name##_show, NULL)
#define KSPLICE_RW(name) \
static struct ksplice_attribute name##_attribute = __ATTR(name, 0644, name##_show, name##_store)

KSPLICE_RW(stage);
KSPLICE_RO(abort_cause);
static struct ksplice_attribute abort_message_attribute =
	__ATTR(abort_message, 0400, abort_message_show, NULL);
KSPLICE_RO(description);
KSPLICE_RO(order);
KSPLICE_RO(working);
KSPLICE_RO(targets);
KSPLICE_RO(kept);
KSPLICE_RO(stands_on);
KSPLICE_RW(attempts);
KSPLICE_RW(timeout_ms);
KSPLICE_RW(settle);
KSPLICE_RW(count_calls);
KSPLICE_RW(partial);
KSPLICE_RW(allow_busy);
KSPLICE_RO(old_code);
KSPLICE_RO(pause_ns);
KSPLICE_RO(stop_ns);
KSPLICE_RO(tries);
KSPLICE_RO(tasks);
KSPLICE_RO(walked);

static struct attribute *ksplice_attrs[] = {
	&stage_attribute.attr,
	&abort_cause_attribute.attr,
	&abort_message_attribute.attr,
	&description_attribute.attr,
	&order_attribute.attr,
	&working_attribute.attr,
	&targets_attribute.attr,
	&kept_attribute.attr,
	&stands_on_attribute.attr,
	&attempts_attribute.attr,
	&timeout_ms_attribute.attr,
	&settle_attribute.attr,
	&count_calls_attribute.attr,
	&partial_attribute.attr,
	&allow_busy_attribute.attr,
	&old_code_attribute.attr,
	&pause_ns_attribute.attr,
	&stop_ns_attribute.attr,
	&tries_attribute.attr,
	&tasks_attribute.attr,
	&walked_attribute.attr,
	NULL
};

/* const in 7.3. */
typedef typeof(**((struct attribute_group *)NULL)->bin_attrs) ksplice_bin_attribute;

/* Text that can be longer than a page is read through binary attributes, which have offsets. */
static ssize_t functions_read(struct file *file, struct kobject *kobj, ksplice_bin_attribute *attr,
			      char *buf, loff_t offset, size_t count)
{
	struct ksplice_update *update = ksplice_to_update(kobj);
	ssize_t ret = ksplice_lock(update);
	size_t length;
	char *text;

	if (ret)
		return ret;
	text = ksplice_print_functions(update, &length);
	mutex_unlock(&ksplice_mutex);
	if (!text)
		return -ENOMEM;
	ret = memory_read_from_buffer(buf, count, &offset, text, length);
	kvfree(text);
	return ret;
}

static ssize_t conflicts_read(struct file *file, struct kobject *kobj, ksplice_bin_attribute *attr,
			      char *buf, loff_t offset, size_t count)
{
	struct ksplice_update *update = ksplice_to_update(kobj);
	ssize_t ret = ksplice_lock(update);

	if (ret)
		return ret;
	ret = memory_read_from_buffer(buf, count, &offset, update->conflicts.buf,
				      update->conflicts.len);
	mutex_unlock(&ksplice_mutex);
	return ret;
}

static BIN_ATTR(functions, 0400, functions_read, NULL, 0);
static BIN_ATTR(conflicts, 0400, conflicts_read, NULL, 0);

static ksplice_bin_attribute *ksplice_bin_attrs[] = {
	&bin_attr_functions,
	&bin_attr_conflicts,
	NULL
};

static const struct attribute_group ksplice_group = {
	.attrs = ksplice_attrs,
	.bin_attrs = ksplice_bin_attrs,
};

static const struct attribute_group *ksplice_groups[] = { &ksplice_group, NULL };

static ssize_t ksplice_show(struct kobject *kobj, struct attribute *attr, char *buf)
{
	struct ksplice_attribute *attribute = container_of(attr, struct ksplice_attribute, attr);

	return attribute->show(ksplice_to_update(kobj), buf);
}

/* All that is written is written under the mutex. */
static ssize_t ksplice_store(struct kobject *kobj, struct attribute *attr, const char *buf,
			     size_t count)
{
	struct ksplice_attribute *attribute = container_of(attr, struct ksplice_attribute, attr);
	struct ksplice_update *update = ksplice_to_update(kobj);
	ssize_t ret;

	if (!attribute->store)
		return -EIO;
	ret = ksplice_lock(update);
	if (ret)
		return ret;
	ret = attribute->store(update, buf, count);
	mutex_unlock(&ksplice_mutex);
	return ret;
}

static const struct sysfs_ops ksplice_sysfs_ops = {
	.show = ksplice_show,
	.store = ksplice_store,
};

static void ksplice_update_release(struct kobject *kobj)
{
	struct ksplice_update *update = ksplice_to_update(kobj);

	kvfree(update->id);
	kvfree(update->description);
	kvfree(update->conflicts.buf);
	kvfree(update->skipped);
	kvfree(update->allow_busy);
	kvfree(update);
}

const struct kobj_type ksplice_update_type = {
	.release = ksplice_update_release,
	.sysfs_ops = &ksplice_sysfs_ops,
	.default_groups = ksplice_groups,
};

int ksplice_sysfs_init(void)
{
	ksplice_kset = ksplice_alloc_fails() ? NULL :
		       kset_create_and_add("ksplice", NULL, kernel_kobj);
	return ksplice_kset ? 0 : -ENOMEM;
}

void ksplice_sysfs_exit(void)
{
	kset_unregister(ksplice_kset);
}
