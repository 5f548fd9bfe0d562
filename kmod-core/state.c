// SPDX-License-Identifier: GPL-2.0
/*
 * What the core knows: the lists of updates and batches with the lock on them, and what the last operation on each
 * says (cause, message, evidence). Nothing is done here.
 */
#include <linux/kernel.h>

#include "core.h"

DEFINE_MUTEX(ksplice_mutex);
LIST_HEAD(ksplice_updates);
LIST_HEAD(ksplice_batches);
LIST_HEAD(ksplice_orphans);		/* members that stay in memory, without their target */
LIST_HEAD(ksplice_comings);
LIST_HEAD(ksplice_targeted);	/* members, under ksplice_late_lock */
DEFINE_RAW_SPINLOCK(ksplice_late_lock);

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
	[KSPLICE_NO_FTRACE_SITE] = { "no_ftrace_site", -EOPNOTSUPP },
	[KSPLICE_ALREADY_REVERSED] = { "already_reversed", -EEXIST },
	[KSPLICE_UNEXPECTED_RUNNING_TASK] = { "unexpected_running_task", -EDEADLK },
	[KSPLICE_UNEXPECTED] = { "unexpected", -EIO },
	[KSPLICE_TARGET_NOT_LOADED] = { "target_not_loaded", -ENODEV },
	[KSPLICE_CALL_FAILED] = { "call_failed", -ECANCELED },
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

struct ksplice_update *ksplice_find_update(const char *id)
{
	struct ksplice_update *update;

	list_for_each_entry(update, &ksplice_updates, list)
		if (!strcmp(update->id, id))
			return update;
	return NULL;
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

void ksplice_begin(struct ksplice_update *update)
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

/* Has a part of the update been reversed that stays in memory? */
bool ksplice_stays(const struct ksplice_update *update)
{
	const struct ksplice_member *member;

	list_for_each_entry(member, &update->members, list)
		if (member->stays)
			return true;
	return false;
}

/* Is this a module that is being loaded, and that we let go if that fails? */
bool ksplice_is_coming(const struct module *module)
{
	const struct ksplice_coming *coming;
	bool found = false;

	raw_spin_lock(&ksplice_late_lock);
	list_for_each_entry(coming, &ksplice_comings, list)
		found = found || coming->module == module;
	raw_spin_unlock(&ksplice_late_lock);
	return found;
}

/* Has an update been applied to this module, or does it stay for one? */
bool ksplice_is_patched(const struct module *module)
{
	const struct ksplice_member *member;
	bool found = false;

	raw_spin_lock(&ksplice_late_lock);
	list_for_each_entry(member, &ksplice_targeted, targeted)
		found = found || member->target == module;
	raw_spin_unlock(&ksplice_late_lock);
	return found;
}
