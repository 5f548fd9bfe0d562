// SPDX-License-Identifier: GPL-2.0
/*
 * Updates: their registration by update modules, and the two operations on them, applying and
 * reversing, each a list of steps with an undo per step. The files that they use are described in
 * core.h, the files in /sys/kernel/ksplice in sysfs.c.
 */
#include <linux/delay.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/percpu.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>

#include "core.h"

#define KSPLICE_CONFLICTS_SIZE 16384
#define KSPLICE_ATTEMPTS 1000
#define KSPLICE_TIMEOUT_MS 10000

DEFINE_MUTEX(ksplice_mutex);
LIST_HEAD(ksplice_updates);

static unsigned int ksplice_order;

static int ksplice_fail_alloc;
module_param_named(fail_alloc, ksplice_fail_alloc, int, 0600);
MODULE_PARM_DESC(fail_alloc, "test: let the n-th allocation from now on fail");

/* The words of abort_cause, and what the writer of the stage file gets. */
static const struct {
	const char *word;
	int error;
} ksplice_causes[KSPLICE_NR_CAUSES] = {
	[KSPLICE_OK] = { "ok", 0 },
	[KSPLICE_NO_MATCH] = { "no_match", -EINVAL },
	[KSPLICE_CODE_BUSY] = { "code_busy", -EAGAIN },
	[KSPLICE_MODULE_BUSY] = { "module_busy", -EBUSY },
	[KSPLICE_OUT_OF_MEMORY] = { "out_of_memory", -ENOMEM },
	[KSPLICE_FAILED_TO_FIND] = { "failed_to_find", -ENOENT },
	[KSPLICE_ALREADY_REVERSED] = { "already_reversed", -EEXIST },
	[KSPLICE_UNEXPECTED_RUNNING_TASK] = { "unexpected_running_task", -EDEADLK },
	[KSPLICE_UNEXPECTED] = { "unexpected", -EIO },
	[KSPLICE_TARGET_NOT_LOADED] = { "target_not_loaded", -ENODEV },
	[KSPLICE_CALL_FAILED] = { "call_failed", -ECANCELED },
	[KSPLICE_COLD_UPDATE_LOADED] = { "cold_update_loaded", -EBUSY },
	[KSPLICE_CONFLICT] = { "conflict", -EBUSY },
	[KSPLICE_FTRACE_OFF] = { "ftrace_off", -EBUSY },
	[KSPLICE_INTERRUPTED] = { "interrupted", -EINTR },
};

const char *ksplice_cause_word(enum ksplice_cause cause)
{
	return ksplice_causes[cause].word;
}

const char *ksplice_stage_word(enum ksplice_stage stage)
{
	static const char *const words[] = { "preparing", "applied", "reversed" };

	return words[stage];
}

/* Asked at every place where memory can be missing, in the core or in what it calls. */
bool ksplice_alloc_fails(void)
{
	return ksplice_fail_alloc > 0 && !--ksplice_fail_alloc;
}

/* Zeroed memory for kvfree(). */
void *ksplice_alloc(size_t size)
{
	return ksplice_alloc_fails() ? NULL : kvzalloc(size, GFP_KERNEL);
}

u64 __percpu *ksplice_alloc_counter(void)
{
	return ksplice_alloc_fails() ? NULL : alloc_percpu(u64);
}

static char *ksplice_copy_string(const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = ksplice_alloc(size);

	if (copy)
		memcpy(copy, text, size);
	return copy;
}

/* Adds evidence to the update's conflicts file. */
void ksplice_note(struct ksplice_update *update, const char *fmt, ...)
{
	struct ksplice_text *text = &update->conflicts;
	va_list args;

	va_start(args, fmt);
	text->len += vscnprintf(text->buf + text->len, text->size - text->len, fmt, args);
	va_end(args);
}

/* Notes why an operation fails; the first reason stays. Returns the error of that cause. */
int ksplice_abort(struct ksplice_update *update, enum ksplice_cause cause, const char *fmt, ...)
{
	va_list args;

	if (update->cause != KSPLICE_OK)
		return ksplice_causes[update->cause].error;
	update->cause = cause;
	va_start(args, fmt);
	vsnprintf(update->message, sizeof(update->message), fmt, args);
	va_end(args);
	pr_err("ksplice: Update %s aborted: %s: %s\n", update->id, ksplice_cause_word(cause),
	       update->message);
	return ksplice_causes[cause].error;
}

static void ksplice_begin(struct ksplice_update *update)
{
	struct ksplice_member *member;

	update->cause = KSPLICE_OK;
	update->message[0] = 0;
	update->conflicts.len = 0;
	update->conflicts.buf[0] = 0;
	list_for_each_entry(member, &update->members, list)
		member->hooked = false;
}

/*
 * True if name is one of the words in names, or a fragment (name.cold, name.part.0) of one; words
 * are separated by spaces, commas or newlines.
 */
bool ksplice_listed(const char *names, const char *name)
{
	size_t length = strcspn(name, ".");

	while (names && *names) {
		size_t word = strcspn(names, " ,\n");

		if (word && ((word == length && !strncmp(names, name, word)) ||
			     (word == strlen(name) && !strncmp(names, name, word))))
			return true;
		names += word;
		names += strspn(names, " ,\n");
	}
	return false;
}

static int ksplice_pin_target(struct ksplice_update *update, struct ksplice_member *member)
{
	const char *name = ksplice_str(member->object->target);
	struct module *target, *expected;
	bool pinned;

	if (!strcmp(name, "vmlinux"))
		return 0;
	expected = (struct module *)(unsigned long)member->object->target_module;
	preempt_disable();
	target = find_module(name);
	if (target && target->state != MODULE_STATE_LIVE)
		target = NULL;
	pinned = target && (!expected || target == expected) && try_module_get(target);
	preempt_enable();
	if (!target)
		return ksplice_abort(update, KSPLICE_TARGET_NOT_LOADED,
				     "module %s is not loaded", name);
	if (!pinned)
		return ksplice_abort(update, KSPLICE_TARGET_NOT_LOADED,
				     "module %s was unloaded or loaded anew meanwhile", name);
	member->target = target;
	return 0;
}

static struct ksplice_update *ksplice_find_update(const char *id)
{
	struct ksplice_update *update;

	list_for_each_entry(update, &ksplice_updates, list)
		if (!strcmp(update->id, id))
			return update;
	return NULL;
}

static bool ksplice_is_applied(const struct ksplice_need *need)
{
	const struct ksplice_update *lower = ksplice_find_update(ksplice_str(need->id));
	const struct ksplice_member *member;

	if (!lower || lower->stage != KSPLICE_APPLIED)
		return false;
	list_for_each_entry(member, &lower->members, list)
		if (member->module == ksplice_need_module(need) && member->batch)
			return true;
	return false;
}

/* Pins the modules of the updates that this one stands on; what is pinned is in nr_pinned. */
static int ksplice_pin_needs(struct ksplice_update *update, struct ksplice_member *member)
{
	const struct ksplice_need *needs = ksplice_needs(member->object);

	for (; member->nr_pinned < member->object->nr_needs; member->nr_pinned++) {
		const struct ksplice_need *need = &needs[member->nr_pinned];

		if (!ksplice_is_applied(need) || !try_module_get(ksplice_need_module(need)))
			return ksplice_abort(update, KSPLICE_CONFLICT,
					     "update %s, on which this one stands, is not applied to %s",
					     ksplice_str(need->id),
					     ksplice_str(member->object->target));
	}
	return 0;
}

static void ksplice_unpin(struct ksplice_member *member)
{
	while (member->nr_pinned)
		module_put(ksplice_need_module(
			&ksplice_needs(member->object)[--member->nr_pinned]));
	if (member->target)
		module_put(member->target);
	member->target = NULL;
	module_put(member->module);
}

/* Pins the update modules that are not applied, with their targets. */
static int ksplice_pin_members(struct ksplice_update *update)
{
	struct ksplice_member *member;
	int ret = 0;

	list_for_each_entry(member, &update->members, list) {
		if (member->batch)
			continue;
		if (!try_module_get(member->module)) {
			ret = ksplice_abort(update, KSPLICE_UNEXPECTED,
					    "update module %s is being unloaded",
					    member->module->name);
			goto unpin;
		}
		ret = ksplice_pin_target(update, member);
		if (!ret)
			ret = ksplice_pin_needs(update, member);
		if (ret) {
			ksplice_unpin(member);
			goto unpin;
		}
	}
	return 0;

unpin:
	list_for_each_entry_continue_reverse(member, &update->members, list)
		if (!member->batch)
			ksplice_unpin(member);
	return ret;
}

/* Gives up the members of a batch that was not switched on, or no longer is. */
static void ksplice_release(struct ksplice_update *update, struct ksplice_batch *batch)
{
	struct ksplice_member *member;
	bool dropped;

	list_del(&batch->list);
	dropped = ksplice_drop_batch(batch);
	list_for_each_entry(member, &update->members, list) {
		if (member->batch != batch)
			continue;
		ksplice_unmap_pointers(member);
		member->batch = NULL;
		if (dropped)
			ksplice_unpin(member);
	}
}

/*
 * Everything up to arming, for the members that are not applied: they are pinned, proven to be for
 * this kernel, free of foreign owners, and have a batch. Returns it or an ERR_PTR, after abort.
 */
static struct ksplice_batch *ksplice_prepare(struct ksplice_update *update)
{
	struct ksplice_member *member;
	struct ksplice_batch *batch = NULL;
	int ret;

	if (update->nr_members < update->nr_objects && !update->partial)
		return ERR_PTR(ksplice_abort(update, KSPLICE_TARGET_NOT_LOADED,
					     "%u of %u update modules are loaded",
					     update->nr_members, update->nr_objects));
	ret = ksplice_pin_members(update);
	if (ret)
		return ERR_PTR(ret);
	list_for_each_entry(member, &update->members, list) {
		if (!member->batch && !ret)
			ret = ksplice_verify(update, member);
	}
	if (!ret) {
		batch = ksplice_make_batch(update);
		ret = PTR_ERR_OR_ZERO(batch);
	}
	if (ret) {
		list_for_each_entry(member, &update->members, list)
			if (!member->batch)
				ksplice_unpin(member);
		return ERR_PTR(ret);
	}
	list_add_tail(&batch->list, &update->batches);
	list_for_each_entry(member, &update->members, list) {
		if (member->batch)
			continue;
		member->batch = batch;
		if (!ret)
			ret = ksplice_map_pointers(update, member);
	}
	if (!ret)
		ret = ksplice_find_owner(update, batch);
	if (ret) {
		ksplice_release(update, batch);
		return ERR_PTR(ret);
	}
	return batch;
}

static bool ksplice_has_work(const struct ksplice_update *update)
{
	const struct ksplice_member *member;

	list_for_each_entry(member, &update->members, list)
		if (!member->batch)
			return true;
	return false;
}

static int ksplice_may_apply(struct ksplice_update *update)
{
	if (update->stage == KSPLICE_REVERSED)
		return ksplice_abort(update, KSPLICE_ALREADY_REVERSED,
				     "it was applied and reversed; unload its modules first");
	if (ksplice_ftrace_dead)
		return ksplice_abort(update, KSPLICE_FTRACE_OFF,
				     "ftrace has been shut down, as the kernel log says");
	return 0;
}

/*
 * Applies the members that are not applied yet: all of them, the first time. Like ksplice_reverse(),
 * it returns -EINPROGRESS without abort if it has to be called by another task.
 */
int ksplice_apply(struct ksplice_update *update)
{
	struct ksplice_batch *batch;
	int ret;

	ksplice_begin(update);
	ret = ksplice_may_apply(update);
	if (ret || !ksplice_has_work(update))
		return ret;
	batch = ksplice_prepare(update);
	if (IS_ERR(batch))
		return PTR_ERR(batch);
	ret = ksplice_call_hooks(update, batch, KSPLICE_HOOK_PRE_APPLY);
	if (ret) {
		ret = ksplice_abort(update, KSPLICE_CALL_FAILED, "a pre_apply hook refuses: %d",
				    ret);
		goto fail;
	}
	ret = ksplice_arm(batch);
	if (ret)
		goto fail;
	ret = ksplice_switch(update, batch, true);
	if (ret)
		goto fail;
	ksplice_call_hooks(update, batch, KSPLICE_HOOK_POST_APPLY);
	if (update->stage != KSPLICE_APPLIED)
		update->order = ++ksplice_order;
	update->stage = KSPLICE_APPLIED;
	pr_info("ksplice: Update %s applied successfully\n", update->id);
	return 0;

fail:
	ksplice_call_fail_hooks(update, batch, KSPLICE_HOOK_FAIL_APPLY);
	ksplice_release(update, batch);
	return ret;
}

/* What ksplice_apply() would say, without hooks and without changing anything. */
int ksplice_check(struct ksplice_update *update)
{
	struct ksplice_batch *batch;
	struct ksplice_walk *walk;
	int ret;

	ksplice_begin(update);
	ret = ksplice_may_apply(update);
	if (ret || !ksplice_has_work(update))
		return ret;
	batch = ksplice_prepare(update);
	if (IS_ERR(batch))
		return PTR_ERR(batch);
	walk = ksplice_make_walk(update, batch);
	if (walk) {
		ret = ksplice_scan(walk);
		if (ret && !ksplice_self_busy(walk))
			ret = ksplice_report_busy(update, walk, ret);
		else
			ret = 0;	/* our own task will not be there */
	} else {
		ret = ksplice_abort(update, KSPLICE_OUT_OF_MEMORY, "no memory to scan the tasks");
	}
	ksplice_free_walk(walk);
	ksplice_release(update, batch);
	return ret;
}

/* Is a target loaded now that was left out when the update was applied? */
static int ksplice_check_skipped(struct ksplice_update *update)
{
	const char *names = update->skipped;

	while (names && *names) {
		char name[MODULE_NAME_LEN];
		size_t word = strcspn(names, " ,\n");
		bool loaded;

		strscpy(name, names, min(word + 1, sizeof(name)));
		preempt_disable();
		loaded = word && find_module(name);
		preempt_enable();
		if (loaded)
			return ksplice_abort(update, KSPLICE_COLD_UPDATE_LOADED,
					     "module %s, left out when the update was applied, has been loaded since",
					     name);
		names += word;
		names += strspn(names, " ,\n");
	}
	return 0;
}

static bool ksplice_stands_on(const struct ksplice_update *upper, const struct ksplice_update *lower)
{
	const struct ksplice_member *member;
	u32 i;

	if (ksplice_covers(upper, lower))
		return true;
	list_for_each_entry(member, &upper->members, list)
		for (i = 0; i < member->nr_pinned; i++)
			if (!strcmp(ksplice_str(ksplice_needs(member->object)[i].id), lower->id))
				return true;
	return false;
}

/* Are there updates that stand on this one? All of them are noted, and the newest comes first. */
static int ksplice_check_above(struct ksplice_update *update)
{
	struct ksplice_update *above;
	char names[128] = "";
	size_t len = 0;

	list_for_each_entry_reverse(above, &ksplice_updates, list) {
		if (above == update || !ksplice_stands_on(above, update))
			continue;
		ksplice_note(update, "update %s stands on update %s\n", above->id, update->id);
		len += scnprintf(names + len, sizeof(names) - len, "%s%s", len ? ", " : "",
				 above->id);
	}
	if (!len)
		return 0;
	return ksplice_abort(update, KSPLICE_MODULE_BUSY,
			     "these updates stand on it and must be reversed first: %s", names);
}

static int ksplice_may_reverse(struct ksplice_update *update)
{
	struct ksplice_member *member;
	int ret;

	if (update->stage != KSPLICE_APPLIED)
		return ksplice_abort(update, KSPLICE_UNEXPECTED, "it is not applied");
	ret = ksplice_check_above(update);
	if (ret)
		return ret;
	list_for_each_entry(member, &update->members, list)
		if (member->batch && module_refcount(member->module) > 1)
			return ksplice_abort(update, KSPLICE_MODULE_BUSY,
					     "its module %s is used by %d others",
					     member->module->name,
					     module_refcount(member->module) - 1);
	return ksplice_check_skipped(update);
}

int ksplice_reverse(struct ksplice_update *update)
{
	struct ksplice_batch *batch, *next;
	int ret;

	ksplice_begin(update);
	if (update->stage == KSPLICE_REVERSED)
		return 0;
	ret = ksplice_may_reverse(update);
	if (ret)
		return ret;
	ret = ksplice_call_hooks(update, NULL, KSPLICE_HOOK_PRE_REVERSE);
	if (ret)
		ret = ksplice_abort(update, KSPLICE_CALL_FAILED, "a pre_reverse hook refuses: %d",
				    ret);
	if (!ret)
		ret = ksplice_switch(update, NULL, false);
	if (ret) {
		ksplice_call_fail_hooks(update, NULL, KSPLICE_HOOK_FAIL_REVERSE);
		return ret;
	}
	ksplice_call_hooks(update, NULL, KSPLICE_HOOK_POST_REVERSE);
	/* Callbacks that the new code has given to call_rcu() may be in its modules. */
	rcu_barrier();
	list_for_each_entry_safe(batch, next, &update->batches, list)
		ksplice_release(update, batch);
	update->stage = KSPLICE_REVERSED;
	pr_info("ksplice: Update %s reversed successfully\n", update->id);
	return 0;
}

static struct ksplice_update *ksplice_make_update(const struct ksplice_object *object)
{
	struct ksplice_update *update = ksplice_alloc(sizeof(*update));
	int ret = -ENOMEM;

	if (!update)
		return ERR_PTR(-ENOMEM);
	INIT_LIST_HEAD(&update->members);
	INIT_LIST_HEAD(&update->batches);
	update->nr_objects = object->nr_objects;
	update->attempts = KSPLICE_ATTEMPTS;
	update->timeout_ms = KSPLICE_TIMEOUT_MS;
	kobject_init(&update->kobj, &ksplice_update_type);
	INIT_WORK(&update->work, ksplice_work);
	update->id = ksplice_copy_string(ksplice_str(object->id));
	update->description = ksplice_copy_string(ksplice_str(object->description));
	update->conflicts.size = KSPLICE_CONFLICTS_SIZE;
	update->conflicts.buf = ksplice_alloc(KSPLICE_CONFLICTS_SIZE);
	if (update->id && update->description && update->conflicts.buf) {
		update->kobj.kset = ksplice_kset;
		if (!ksplice_alloc_fails())
			ret = kobject_add(&update->kobj, NULL, "%s", update->id);
	}
	if (ret) {
		kobject_put(&update->kobj);
		return ERR_PTR(ret);
	}
	kobject_uevent(&update->kobj, KOBJ_ADD);
	list_add_tail(&update->list, &ksplice_updates);
	pr_info("ksplice: Update %s preparing\n", update->id);
	return update;
}

/* The update that this object belongs to, made if it is the first; ERR_PTR if it does not fit. */
static struct ksplice_update *ksplice_update_for(const struct ksplice_object *object)
{
	struct ksplice_update *update = ksplice_find_update(ksplice_str(object->id));
	struct ksplice_member *member;

	if (!update)
		return ksplice_make_update(object);
	if (update->nr_objects != object->nr_objects || update->stage == KSPLICE_REVERSED)
		return ERR_PTR(-EBUSY);
	list_for_each_entry(member, &update->members, list)
		if (!strcmp(ksplice_str(member->object->target), ksplice_str(object->target)))
			return ERR_PTR(-EEXIST);
	if (update->nr_members == update->nr_objects)
		return ERR_PTR(-EBUSY);
	return update;
}

/* Makes an update module known; called when it is loaded. */
int ksplice_register(struct ksplice_object *object, struct module *module)
{
	struct ksplice_update *update;
	struct ksplice_member *member;
	int ret = ksplice_check_object(object, module);

	if (ret)
		return ret;
	member = ksplice_alloc(sizeof(*member));
	if (!member)
		return -ENOMEM;
	member->object = object;
	member->module = module;
	if (mutex_lock_killable(&ksplice_mutex)) {
		kvfree(member);
		return -EINTR;
	}
	update = ksplice_update_for(object);
	if (IS_ERR(update)) {
		mutex_unlock(&ksplice_mutex);
		kvfree(member);
		return PTR_ERR(update);
	}
	member->update = update;
	update->nr_members++;
	list_add_tail(&member->list, &update->members);
	mutex_unlock(&ksplice_mutex);
	return 0;
}
EXPORT_SYMBOL_GPL(ksplice_register);

/*
 * "rmmod -f" takes a module away in spite of our pin on it. Its code must be out of use before we let
 * it go: for as long as that takes. The task that unloads it is in the module's exit function.
 */
static void ksplice_forced_out(struct ksplice_update *update)
{
	pr_err("ksplice: Update %s is unloaded by force while it is applied; reversing it\n",
	       update->id);
	update->leaving = current;
	while (ksplice_reverse(update)) {
		mutex_unlock(&ksplice_mutex);
		msleep(100);
		mutex_lock(&ksplice_mutex);
	}
	update->leaving = NULL;
}

/* Called when an update module is unloaded; it is not applied, or it would be pinned. */
void ksplice_unregister(struct ksplice_object *object)
{
	struct ksplice_update *update;
	struct ksplice_member *member, *found = NULL;

	mutex_lock(&ksplice_mutex);
	update = ksplice_find_update(ksplice_str(object->id));
	if (update)
		list_for_each_entry(member, &update->members, list)
			if (member->object == object)
				found = member;
	if (WARN_ON_ONCE(!found)) {
		mutex_unlock(&ksplice_mutex);
		return;
	}
	if (found->batch)
		ksplice_forced_out(update);
	list_del(&found->list);
	kvfree(found);
	if (--update->nr_members) {
		mutex_unlock(&ksplice_mutex);
		return;
	}
	update->gone = true;
	list_del(&update->list);
	mutex_unlock(&ksplice_mutex);
	/* Waits for readers and writers of the files, who may wait for the mutex. */
	kobject_del(&update->kobj);
	kobject_put(&update->kobj);
}
EXPORT_SYMBOL_GPL(ksplice_unregister);

static int __init ksplice_init(void)
{
	return ksplice_sysfs_init();
}

static void __exit ksplice_exit(void)
{
	ksplice_sysfs_exit();
	ksplice_shadow_exit();
}

module_init(ksplice_init);
module_exit(ksplice_exit);
MODULE_DESCRIPTION("Ksplice: replaces functions of the running kernel");
MODULE_LICENSE("GPL");
