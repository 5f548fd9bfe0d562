// SPDX-License-Identifier: GPL-2.0
/*
 * The two operations on updates, applying and reversing, and the question whether the first would
 * succeed: each a list of steps with an undo per step. The files that they use are described in core.h.
 */
#include <linux/delay.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/rcupdate.h>

#include "core.h"

static unsigned int ksplice_order;

/*
 * Gives up what is being applied (on) and was not switched on, or what has been switched off. False if ftrace
 * keeps some of it: then the members stay pinned.
 */
static bool ksplice_release(struct ksplice_update *update, bool on)
{
	struct ksplice_batch *batch, *next;
	bool all = true, watched = false;
	LIST_HEAD(dropped);

	list_for_each_entry_safe(batch, next, &update->batches, list) {
		if (!ksplice_takes_part(batch, on))
			continue;
		list_del(&batch->list);
		/* One that could not be registered was in ftrace's list for a moment. */
		watched = watched || (batch->linked && (batch->nr_ips < batch->nr_bodies ||
							!batch->registered));
		if (ksplice_disarm(batch)) {
			list_add_tail(&batch->list, &dropped);
			continue;
		}
		ksplice_unmap_places(batch->member);
		batch->member->batch = NULL;
		all = false;
	}
	/* Unregistering from ftrace has waited for the tasks that use nothing else. */
	if (watched) {
		synchronize_rcu_tasks_rude();
		synchronize_rcu_tasks();
	}
	list_for_each_entry_safe(batch, next, &dropped, list) {
		struct ksplice_member *member = batch->member;

		ksplice_unmap_places(member);
		member->batch = NULL;
		ksplice_free_batch(batch);
		if (!member->stays)
			ksplice_unpin(member);
	}
	return all;
}

/* A module that is being loaded is patched alone, as it may take away what was done for it. */
static int ksplice_check_coming(struct ksplice_update *update)
{
	const struct ksplice_member *member, *coming = NULL;
	unsigned int nr = 0;

	list_for_each_entry(member, &update->members, list) {
		if (member->batch)
			continue;
		nr++;
		if (member->target && member->target->state != MODULE_STATE_LIVE)
			coming = member;
	}
	if (!coming || nr == 1)
		return 0;
	return ksplice_abort(update, KSPLICE_TARGET_NOT_LOADED,
			     "module %s is still being loaded, and is not the only one to be patched",
			     ksplice_str(coming->object->target));
}

/* Makes the batch of a member that is pinned and proven, and its places. 0, or aborts. */
static int ksplice_add_batch(struct ksplice_update *update, struct ksplice_member *member)
{
	struct ksplice_batch *batch = ksplice_make_batch(member);

	if (IS_ERR(batch))
		return PTR_ERR(batch);
	list_add_tail(&batch->list, &update->batches);
	member->batch = batch;
	return ksplice_map_places(update, member);
}

static int ksplice_prepare_batches(struct ksplice_update *update)
{
	struct ksplice_member *member;
	struct ksplice_batch *batch;
	int ret = ksplice_check_coming(update);

	list_for_each_entry(member, &update->members, list)
		if (!member->batch && !ret)
			ret = ksplice_verify(update, member);
	list_for_each_entry(member, &update->members, list)
		if (!member->batch && !ret)
			ret = ksplice_add_batch(update, member);
	if (!ret)
		ret = ksplice_check_independent(update);
	list_for_each_entry(batch, &update->batches, list) {
		if (batch->fresh && !ret)
			ret = ksplice_choose(update, batch);
		if (batch->fresh && !ret)
			ret = ksplice_find_owner(update, batch);
	}
	return ret;
}

/*
 * Everything up to arming, for the members that are not applied: they are pinned, proven to be for
 * this kernel, free of foreign owners, and have a batch that is fresh. 0, or aborts.
 */
static int ksplice_prepare(struct ksplice_update *update)
{
	int ret;

	if (update->nr_members < update->nr_objects && !update->partial)
		return ksplice_abort(update, KSPLICE_TARGET_NOT_LOADED,
				     "%u of %u update modules are loaded", update->nr_members,
				     update->nr_objects);
	ret = ksplice_pin_members(update);
	if (ret)
		return ret;
	ret = ksplice_prepare_batches(update);
	if (!ret)
		return 0;
	ksplice_unpin_members(update);	/* those that have no batch yet */
	ksplice_release(update, true);
	ksplice_settle_targets(update);
	return ret;
}

static int ksplice_arm_all(struct ksplice_update *update)
{
	struct ksplice_batch *batch;
	int ret = 0;

	list_for_each_entry(batch, &update->batches, list)
		if (batch->fresh && !ret)
			ret = ksplice_arm(batch);
	return ret;
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
	if (update->stage == KSPLICE_REVERSED && !ksplice_stays(update))
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
	ret = ksplice_prepare(update);
	if (ret)
		return ret;
	ret = ksplice_call_hooks(update, KSPLICE_HOOK_PRE_APPLY);
	if (ret) {
		ret = ksplice_abort(update, KSPLICE_CALL_FAILED, "a pre_apply hook refuses: %d",
				    ret);
		goto fail;
	}
	ret = ksplice_arm_all(update);
	if (ret)
		goto fail;
	ret = ksplice_switch(update, true);
	if (ret)
		goto fail;
	ksplice_call_hooks(update, KSPLICE_HOOK_POST_APPLY);
	list_for_each_entry(batch, &update->batches, list)
		batch->fresh = false;
	if (update->stage != KSPLICE_APPLIED)
		update->order = ++ksplice_order;
	update->stage = KSPLICE_APPLIED;
	ksplice_settle_targets(update);
	pr_info("ksplice: Update %s applied successfully\n", update->id);
	smp_mb();	/* who loads a module says so, and then looks at the stage */
	ksplice_patch_missed(update);
	return 0;

fail:
	ksplice_call_fail_hooks(update, KSPLICE_HOOK_FAIL_APPLY);
	ksplice_release(update, true);
	ksplice_settle_targets(update);
	return ret;
}

/* What ksplice_apply() would say, without hooks and without changing anything. */
int ksplice_check(struct ksplice_update *update)
{
	struct ksplice_walk *walk;
	int ret;

	ksplice_begin(update);
	ret = ksplice_may_apply(update);
	if (ret || !ksplice_has_work(update))
		return ret;
	ret = ksplice_prepare(update);
	if (ret)
		return ret;
	walk = ksplice_make_walk(update, true);
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
	ksplice_release(update, true);
	ksplice_settle_targets(update);
	return ret;
}

static bool ksplice_stands_on(const struct ksplice_update *upper, const struct ksplice_update *lower)
{
	const struct ksplice_member *member;
	u32 i;

	if (ksplice_covers(upper, lower))
		return true;
	/* One that is reversed and stays is not in the way: what it uses then stays as well. */
	list_for_each_entry(member, &upper->members, list)
		for (i = 0; member->batch && i < member->nr_pinned; i++)
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

/* Does something outside of the update hold one of its modules? */
static int ksplice_check_holders(struct ksplice_update *update)
{
	struct ksplice_member *member;
	char tracer[160];
	unsigned int nr;
	int others;

	list_for_each_entry(member, &update->members, list) {
		ksplice_staying_user(member, &nr);
		others = module_refcount(member->module) - 1 - (int)nr;
		if (!member->batch || others < 1)
			continue;
		ksplice_note_tracers(update, member->module, tracer, sizeof(tracer));
		return ksplice_abort(update, KSPLICE_MODULE_BUSY,
				     "its module %s is used by %d others%s", member->module->name,
				     others, tracer);
	}
	return 0;
}

static int ksplice_may_reverse(struct ksplice_update *update)
{
	int ret;

	if (update->stage != KSPLICE_APPLIED)
		return ksplice_abort(update, KSPLICE_UNEXPECTED, "it is not applied");
	ret = ksplice_check_above(update);
	return ret ?: ksplice_check_holders(update);
}

int ksplice_reverse(struct ksplice_update *update)
{
	struct ksplice_member *member;
	unsigned int nr;
	int ret;

	ksplice_begin(update);
	if (update->stage == KSPLICE_REVERSED)
		return 0;
	ret = ksplice_may_reverse(update);
	if (ret)
		return ret;
	ret = ksplice_call_hooks(update, KSPLICE_HOOK_PRE_REVERSE);
	if (ret)
		ret = ksplice_abort(update, KSPLICE_CALL_FAILED, "a pre_reverse hook refuses: %d",
				    ret);
	if (!ret)
		ret = ksplice_switch(update, false);
	if (ret) {
		ksplice_call_fail_hooks(update, KSPLICE_HOOK_FAIL_REVERSE);
		return ret;
	}
	ksplice_call_hooks(update, KSPLICE_HOOK_POST_REVERSE);
	/* Callbacks that the new code has given to call_rcu() may be in its modules. */
	rcu_barrier();
	list_for_each_entry(member, &update->members, list)
		if (member->batch &&
		    (member->object->kept || ksplice_staying_user(member, &nr)))
			member->stays = true;
	ksplice_release(update, false);
	ksplice_settle_targets(update);
	update->stage = KSPLICE_REVERSED;
	pr_info("ksplice: Update %s reversed successfully%s\n", update->id,
		ksplice_stays(update) ? "; it stays in memory, as it may be in use" : "");
	return 0;
}

/* The newest batch that is for this target. */
static struct ksplice_batch *ksplice_batch_on(const struct module *target)
{
	struct ksplice_batch *batch;

	list_for_each_entry_reverse(batch, &ksplice_batches, all)
		if (batch->member->target == target)
			return batch;
	return NULL;
}

/* A member that stays in memory, and can never be applied again: its target is no more. */
static void ksplice_orphan(struct ksplice_update *update, struct ksplice_member *member)
{
	pr_warn("ksplice: the update module %s of update %s stays in memory, as it may be in use\n",
		member->module->name, update->id);
	ksplice_release_target(member);
	member->update = NULL;
	update->nr_members--;
	list_move_tail(&member->list, &ksplice_orphans);
}

/* Its hooks are called as in an undo, but cannot refuse. */
static int ksplice_reverse_batch(struct ksplice_batch *batch)
{
	struct ksplice_update *update = batch->update;
	struct ksplice_member *member = batch->member;
	unsigned int nr;
	int ret;

	ksplice_begin(update);
	update->only = batch;
	ksplice_call_hooks(update, KSPLICE_HOOK_PRE_REVERSE);
	ret = ksplice_switch(update, false);
	if (ret)
		ksplice_call_fail_hooks(update, KSPLICE_HOOK_FAIL_REVERSE);
	else
		ksplice_call_hooks(update, KSPLICE_HOOK_POST_REVERSE);
	if (!ret) {
		rcu_barrier();
		member->stays = member->object->kept || ksplice_staying_user(member, &nr);
		if (!ksplice_release(update, false) || member->stays)
			ksplice_orphan(update, member);
	}
	update->only = NULL;
	return ret;
}

/* The update waits for the target as if it had been left out with --partial. */
static void ksplice_await(struct ksplice_update *update, const struct module *target)
{
	char *names = NULL, *old = update->skipped;
	size_t size = (old ? strlen(old) : 0) + strlen(target->name) + 2;

	update->partial = true;
	if (ksplice_listed(old, target->name))
		return;
	names = ksplice_alloc(size);
	if (!names) {
		pr_err("ksplice: no memory: module %s will not be patched by update %s when it comes again\n",
		       target->name, update->id);
		return;
	}
	snprintf(names, size, "%s%s%s", old ?: "", old && *old ? " " : "", target->name);
	raw_spin_lock(&ksplice_late_lock);
	update->skipped = names;
	raw_spin_unlock(&ksplice_late_lock);
	kvfree(old);
}

/* What was reversed and stays in memory is for a target that is no more. */
static void ksplice_orphan_all(const struct module *target)
{
	struct ksplice_member *member, *next;
	struct ksplice_update *update;

	list_for_each_entry(update, &ksplice_updates, list)
		list_for_each_entry_safe(member, next, &update->members, list)
			if (member->stays && member->target == target)
				ksplice_orphan(update, member);
}

/*
 * A module that is patched goes, as it is unloaded or as its init code has failed: whatever was done for
 * it is undone, the newest first, however long that takes. Its memory is there until we return, and nobody
 * runs its own code any more. When it comes again, it is patched again.
 */
void ksplice_let_go(const struct module *target)
{
	struct ksplice_batch *batch;

	mutex_lock(&ksplice_mutex);
	while ((batch = ksplice_batch_on(target))) {
		struct ksplice_update *update = batch->update;

		if (!ksplice_reverse_batch(batch)) {
			ksplice_await(update, target);
			pr_info("ksplice: Update %s has let go of module %s, which goes\n", update->id,
				target->name);
			continue;
		}
		mutex_unlock(&ksplice_mutex);
		msleep(100);
		mutex_lock(&ksplice_mutex);
	}
	ksplice_orphan_all(target);
	mutex_unlock(&ksplice_mutex);
}
