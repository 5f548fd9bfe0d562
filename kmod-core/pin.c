// SPDX-License-Identifier: GPL-2.0
/*
 * Pins: an applied update holds its own modules, and the modules of the updates on which it stands, so that
 * none of them is unloaded. A target module it holds while an operation goes on, and for as long as somebody
 * else may come to the code that was made for it: other update modules, or live memory that has an address of
 * it. Else the target can be unloaded, and is let go (late.c).
 */
#include <linux/module.h>

#include "core.h"

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
	if (target && target->state != MODULE_STATE_LIVE && !ksplice_is_coming(target))
		target = NULL;
	pinned = target && (!expected || target == expected) && try_module_get(target);
	if (pinned) {	/* before anybody can find that it goes, and that it is not patched */
		raw_spin_lock(&ksplice_late_lock);
		member->target = target;
		list_add(&member->targeted, &ksplice_targeted);
		raw_spin_unlock(&ksplice_late_lock);
	}
	preempt_enable();
	if (!target)
		return ksplice_abort(update, KSPLICE_TARGET_NOT_LOADED,
				     "module %s is not loaded", name);
	if (!pinned)
		return ksplice_abort(update, KSPLICE_TARGET_NOT_LOADED,
				     "module %s was unloaded or loaded anew meanwhile", name);
	member->holds_target = true;
	return 0;
}

/* The member has no target any more. */
void ksplice_release_target(struct ksplice_member *member)
{
	if (member->target && member->holds_target)
		module_put(member->target);
	raw_spin_lock(&ksplice_late_lock);
	list_del_init(&member->targeted);
	member->target = NULL;
	raw_spin_unlock(&ksplice_late_lock);
	member->holds_target = false;
}

/*
 * Must the target stay, because somebody else may come to the code that was made for it: through an address
 * in live memory, or from the other targets of the update? (Update modules export nothing.)
 */
static bool ksplice_wants_target(const struct ksplice_member *member)
{
	const struct ksplice_member *user;

	if (member->stays || member->object->kept)
		return true;
	list_for_each_entry(user, &member->update->members, list)
		if (user->object->flags & KSPLICE_OBJECT_USES_OTHERS)
			return true;
	return false;
}

/* Before a part of the update is applied that may use the others. */
static int ksplice_hold_targets(struct ksplice_update *update)
{
	struct ksplice_member *member;

	list_for_each_entry(member, &update->members, list) {
		if (!member->target || member->holds_target || !ksplice_wants_target(member))
			continue;
		if (!try_module_get(member->target))
			return ksplice_abort(update, KSPLICE_TARGET_NOT_LOADED,
					     "module %s is being unloaded",
					     ksplice_str(member->object->target));
		member->holds_target = true;
	}
	return 0;
}

/* After an operation: the targets that need not stay can be unloaded from now on. */
void ksplice_settle_targets(struct ksplice_update *update)
{
	struct ksplice_member *member;

	list_for_each_entry(member, &update->members, list) {
		bool wanted = ksplice_wants_target(member);

		if (!member->target || wanted == member->holds_target)
			continue;
		/* One that goes just now is let go next, whatever is wanted. */
		if (wanted && !try_module_get(member->target))
			continue;
		if (!wanted)
			module_put(member->target);
		member->holds_target = wanted;
	}
}

/*
 * What a member has for a module that is being loaded may have to go with it: only another one for the
 * same module, which goes first, can stand on it.
 */
static bool ksplice_is_firm(const struct ksplice_member *member, const struct ksplice_member *user)
{
	return member->batch && (!member->target || member->target == user->target ||
				 member->target->state == MODULE_STATE_LIVE);
}

static bool ksplice_is_applied(const struct ksplice_need *need, const struct ksplice_member *user)
{
	const struct ksplice_update *lower = ksplice_find_update(ksplice_str(need->id));
	const struct ksplice_member *member;

	if (!lower || lower->stage != KSPLICE_APPLIED)
		return false;
	list_for_each_entry(member, &lower->members, list)
		if (member->module == ksplice_need_module(need) && ksplice_is_firm(member, user))
			return true;
	return false;
}

static int ksplice_refuse_need(struct ksplice_update *update, const struct ksplice_member *member,
			       const struct ksplice_need *need)
{
	return ksplice_abort(update, KSPLICE_CONFLICT,
			     "update %s, on which this one stands, is not applied to %s",
			     ksplice_str(need->id), ksplice_str(member->object->target));
}

/* What a member that stays needs is pinned already, and may have been reversed since. */
static int ksplice_check_needs_applied(struct ksplice_update *update,
				       const struct ksplice_member *member)
{
	const struct ksplice_need *needs = ksplice_needs(member->object);
	u32 i;

	for (i = 0; i < member->object->nr_needs; i++)
		if (!ksplice_is_applied(&needs[i], member))
			return ksplice_refuse_need(update, member, &needs[i]);
	return 0;
}

/* Pins the modules of the updates that this one stands on; what is pinned is in nr_pinned. */
static int ksplice_pin_needs(struct ksplice_update *update, struct ksplice_member *member)
{
	const struct ksplice_need *needs = ksplice_needs(member->object);

	for (; member->nr_pinned < member->object->nr_needs; member->nr_pinned++) {
		const struct ksplice_need *need = &needs[member->nr_pinned];

		if (!ksplice_is_applied(need, member) || !try_module_get(ksplice_need_module(need)))
			return ksplice_refuse_need(update, member, need);
	}
	return 0;
}

void ksplice_unpin(struct ksplice_member *member)
{
	while (member->nr_pinned)
		module_put(ksplice_need_module(
			&ksplice_needs(member->object)[--member->nr_pinned]));
	ksplice_release_target(member);
	module_put(member->module);
}

static bool ksplice_is_pinned(const struct ksplice_member *member)
{
	return member->batch || member->stays;
}

/* Unpins what ksplice_pin_members() has pinned, after a failure before there was a batch. */
void ksplice_unpin_members(struct ksplice_update *update)
{
	struct ksplice_member *member;

	list_for_each_entry(member, &update->members, list)
		if (!ksplice_is_pinned(member))
			ksplice_unpin(member);
}

/* Pins the update modules that are not applied, with their targets. */
int ksplice_pin_members(struct ksplice_update *update)
{
	struct ksplice_member *member;
	int ret = ksplice_hold_targets(update);

	if (ret)
		return ret;
	list_for_each_entry(member, &update->members, list) {
		if (member->batch)
			continue;
		if (member->stays) {
			ret = ksplice_check_needs_applied(update, member);
			if (ret)
				goto unpin;
			continue;
		}
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
		if (!ksplice_is_pinned(member))
			ksplice_unpin(member);
	return ret;
}

/* A reversed update that stays in memory and uses the member; *nr is how many there are. */
const struct ksplice_update *ksplice_staying_user(const struct ksplice_member *member,
						  unsigned int *nr)
{
	const struct ksplice_update *other, *found = NULL;
	const struct ksplice_member *user;
	u32 i;

	*nr = 0;
	list_for_each_entry(other, &ksplice_updates, list)
		list_for_each_entry(user, &other->members, list)
			for (i = 0; user->stays && i < user->nr_pinned; i++) {
				if (ksplice_need_module(&ksplice_needs(user->object)[i]) !=
				    member->module)
					continue;
				found = other;
				++*nr;
			}
	return found;
}
