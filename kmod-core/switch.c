// SPDX-License-Identifier: GPL-2.0
/*
 * The switch: turns a whole update on or off at one instant, or not at all.
 *
 * A try is a scan of all tasks while the machine runs, and, if nobody is in the way, stop_machine()
 * with the rest of the scan, the check hooks, the stores that switch and the jumps (jump.c), and the
 * hooks that belong to that instant. Tries go on with growing pauses until one succeeds or the limits of the update
 * (attempts, timeout_ms) are reached. Time under stop_machine depends on the number of tasks that
 * ran meanwhile, not on the number of functions (places in data, which are few, take a store each).
 */
#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/sched/signal.h>
#include <linux/timekeeping.h>

#include "core.h"

#define KSPLICE_FIRST_WAIT_MS 2
#define KSPLICE_LONGEST_WAIT_MS 50

typedef int (*ksplice_hook_t)(void);

static bool ksplice_may_fail(enum ksplice_hook_kind kind)
{
	return kind == KSPLICE_HOOK_PRE_APPLY || kind == KSPLICE_HOOK_CHECK_APPLY ||
	       kind == KSPLICE_HOOK_PRE_REVERSE || kind == KSPLICE_HOOK_CHECK_REVERSE;
}

static bool ksplice_is_for_apply(enum ksplice_hook_kind kind)
{
	return kind < KSPLICE_HOOK_PRE_REVERSE;
}

static int ksplice_call_member(const struct ksplice_member *member, enum ksplice_hook_kind kind)
{
	const struct ksplice_hook_table *table = &member->object->hooks[kind];
	const u64 *hooks = (const u64 *)(unsigned long)table->hooks;
	u64 i;

	for (i = 0; i < table->nr; i++) {
		void *hook = (void *)(unsigned long)hooks[i];

		if (ksplice_may_fail(kind)) {
			int ret = ((ksplice_hook_t)hook)();

			if (ret)
				return ret;
		} else {
			((void (*)(void))hook)();
		}
	}
	return 0;
}

/*
 * Calls the hooks of one kind, members in order of registration. Hooks of the pre and check kinds
 * can fail; the first that does ends the calls, and its value is returned.
 */
int ksplice_call_hooks(struct ksplice_update *update, enum ksplice_hook_kind kind)
{
	struct ksplice_member *member;

	list_for_each_entry(member, &update->members, list) {
		int ret;

		if (!member->batch || !ksplice_takes_part(member->batch, ksplice_is_for_apply(kind)))
			continue;
		if (kind == KSPLICE_HOOK_PRE_APPLY || kind == KSPLICE_HOOK_PRE_REVERSE)
			member->hooked = true;
		ret = ksplice_call_member(member, kind);
		if (ret)
			return ret;
	}
	return 0;
}

/* Calls the fail hooks of the members whose pre hooks were reached, last member first. */
void ksplice_call_fail_hooks(struct ksplice_update *update, enum ksplice_hook_kind kind)
{
	struct ksplice_member *member;

	list_for_each_entry_reverse(member, &update->members, list)
		if (member->hooked && member->batch &&
		    ksplice_takes_part(member->batch, ksplice_is_for_apply(kind)))
			ksplice_call_member(member, kind);
}

struct ksplice_switch {
	struct ksplice_update *update;
	struct ksplice_walk *walk;
	bool on;
	bool hook_failed;
	const struct ksplice_place *wrong;	/* that did not have the expected value */
	struct ksplice_pokes *pokes;
	const struct ksplice_body *changed;	/* with other code than expected */
	const struct ksplice_body *dead;	/* in which a processor may be that is offline */
	struct ksplice_meeting meeting;
	u64 ns;
};

static int ksplice_check_places_stopped(struct ksplice_switch *data)
{
	const struct ksplice_batch *batch;

	list_for_each_entry(batch, &data->update->batches, list)
		if (!data->wrong && ksplice_takes_part(batch, data->on) && !ksplice_loses_target(batch))
			data->wrong = ksplice_wrong_place(batch->member, data->on);
	return data->wrong ? -EINVAL : 0;
}

static int ksplice_try_stopped(struct ksplice_switch *data)
{
	struct ksplice_batch *batch;
	int ret = ksplice_scan_stopped(data->walk);

	if (!ret)
		ret = ksplice_check_places_stopped(data);
	if (ret)
		return ret;
	ret = ksplice_call_hooks(data->update,
				 data->on ? KSPLICE_HOOK_CHECK_APPLY : KSPLICE_HOOK_CHECK_REVERSE);
	/* A target that goes does not ask. */
	if (ret && !data->update->only) {
		data->hook_failed = true;
		return ret;
	}
	ksplice_begin_pokes(data->pokes, &data->meeting);
	list_for_each_entry(batch, &data->update->batches, list) {
		if (!ksplice_takes_part(batch, data->on))
			continue;
		WRITE_ONCE(batch->active, data->on);
		ksplice_switch_places(batch->member, data->on);
	}
	ksplice_end_pokes(data->pokes, &data->meeting);
	ksplice_call_hooks(data->update, data->on ? KSPLICE_HOOK_APPLY : KSPLICE_HOOK_REVERSE);
	return 0;
}

static int ksplice_lead(struct ksplice_meeting *meeting)
{
	struct ksplice_switch *data = container_of(meeting, struct ksplice_switch, meeting);
	u64 start = ktime_get_mono_fast_ns();
	int ret = ksplice_try_stopped(data);

	data->ns = ktime_get_mono_fast_ns() - start;
	return ret;
}

/*
 * A processor that is offline sleeps in the last function that it called, which may be one of the new
 * bodies, and can be woken by an NMI.
 */
static const struct ksplice_body *ksplice_dead_body(const struct ksplice_switch *data)
{
	const struct ksplice_batch *batch;
	unsigned int i;

	if (data->on || num_online_cpus() == num_present_cpus())
		return NULL;
	list_for_each_entry(batch, &data->update->batches, list)
		for (i = 0; ksplice_takes_part(batch, false) && i < batch->nr_bodies; i++)
			if (ksplice_sleeps_offline(&batch->bodies[i]))
				return &batch->bodies[i];
	return NULL;
}

static int ksplice_stop(struct ksplice_switch *data)
{
	u64 start;
	int ret;

	ksplice_lock_text();
	if (data->update->only)
		ksplice_skip_wrong_pokes(data->pokes);
	data->changed = ksplice_wrong_poke(data->pokes);
	data->dead = ksplice_dead_body(data);
	if (data->changed || data->dead) {
		ksplice_unlock_text();
		return -EINVAL;
	}
	data->meeting.lead = ksplice_lead;
	start = ktime_get_ns();
	ret = ksplice_stop_machine(&data->meeting);
	data->update->stop_ns = ktime_get_ns() - start;
	ksplice_unlock_text();
	return ret;
}

static int ksplice_try(struct ksplice_switch *data)
{
	struct ksplice_update *update = data->update;
	int ret = ksplice_scan(data->walk);

	if (ret)
		return ret;
	ret = ksplice_stop(data);
	update->pause_ns = data->ns;
	ksplice_walk_counts(data->walk, &update->tasks, &update->walked);
	return ret;
}

static int ksplice_try_all(struct ksplice_switch *data)
{
	struct ksplice_update *update = data->update;
	unsigned long end = jiffies + msecs_to_jiffies(update->timeout_ms);
	unsigned int wait = KSPLICE_FIRST_WAIT_MS;

	update->tries = 0;
	for (;;) {
		int ret = ksplice_try(data);

		update->tries++;
		if (!ret)
			return 0;
		/* The writer of the stage file itself: the caller sees to it. */
		if (ksplice_self_busy(data->walk))
			return -EINPROGRESS;
		if (data->hook_failed)
			return ksplice_abort(update, KSPLICE_CALL_FAILED,
					     "a check hook refuses: %d", ret);
		if (data->wrong)
			return ksplice_report_place(update, data->wrong, data->on);
		if (data->changed)
			return ksplice_report_poke(update, data->changed);
		if (data->dead)
			return ksplice_abort(update, KSPLICE_CODE_BUSY,
					     "a processor that is offline may sleep in %s: bring it online first",
					     ksplice_str(data->dead->function->name));
		if (ret == -EDEADLK || update->tries >= update->attempts ||
		    time_after(jiffies, end))
			return ksplice_report_busy(update, data->walk, ret);
		if (msleep_interruptible(wait))
			return ksplice_abort(update, KSPLICE_INTERRUPTED,
					     "interrupted by a signal while waiting for busy code");
		wait = min(2 * wait, (unsigned int)KSPLICE_LONGEST_WAIT_MS);
	}
}

/*
 * Switches the fresh batches of the update on, or all of them off, or that in update->only. Returns 0, or
 * aborts: nothing changed. Also without abort, -EINPROGRESS: our own task is in the code, so another one has
 * to do it.
 */
int ksplice_switch(struct ksplice_update *update, bool on)
{
	struct ksplice_switch data = { .update = update, .on = on };
	int ret;

	data.walk = ksplice_make_walk(update, on);
	if (!data.walk)
		return ksplice_abort(update, KSPLICE_OUT_OF_MEMORY, "no memory to scan the tasks");
	data.pokes = ksplice_make_pokes(update, on);
	if (data.pokes)
		ret = ksplice_try_all(&data);
	else
		ret = ksplice_abort(update, KSPLICE_OUT_OF_MEMORY, "no memory to write the jumps");
	ksplice_free_pokes(data.pokes);
	ksplice_free_walk(data.walk);
	return ret;
}
