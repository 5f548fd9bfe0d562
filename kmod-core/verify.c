// SPDX-License-Identifier: GPL-2.0
/*
 * Verification: is the running kernel's code what the update was made for? The bytes of every piece
 * of run code are compared with the expected ones. Ranges that the kernel rewrites itself accept
 * their known variants only (x86_text.c). A function that an earlier update redirects still has
 * its own bytes, but for its ftrace site and the jump to the new body, which is taken for what it was.
 *
 * Held while reading: text_mutex, which every writer of kernel code holds, so that no half-written
 * instruction is seen; and before it ftrace_lock, as ftrace takes them: a tracer that goes leaves ftrace's
 * list some time before the sites cease to call its trampoline, which nobody could be asked for then.
 */
#include <linux/memory.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "core.h"

#define KSPLICE_SHOWN 16

/* Is this code that may be replaced: of the target, or of an update that this one stands on? */
static bool ksplice_is_code(struct ksplice_member *member, const struct ksplice_run *run)
{
	u32 i;

	if (member->target ? ksplice_within_text(member->target, run->addr, run->size)
			   : core_kernel_text(run->addr) &&
			     core_kernel_text(run->addr + run->size - 1))
		return true;
	for (i = 0; i < member->nr_pinned; i++)
		if (ksplice_within_text(ksplice_need_module(&ksplice_needs(member->object)[i]),
					run->addr, run->size))
			return true;
	return false;
}

/* Compares the bytes; returns -1 if all match, or the offset of the first that does not. */
static int ksplice_first_difference(const struct ksplice_run *run, const u8 *live)
{
	const struct ksplice_range *range = (void *)(unsigned long)run->ranges;
	const struct ksplice_range *end = range + run->nr_ranges;
	const u8 *bytes = (const u8 *)(unsigned long)run->bytes;
	u32 i = 0;

	while (i < run->size) {
		if (range < end && i == range->offset) {
			int at = ksplice_match_range(range, run->addr + i, live + i);

			if (at >= 0)
				return i + at;
			i += range->length;
			range++;
		} else {
			u32 stop = range < end ? min(range->offset, run->size) : run->size;

			if (stop < i)
				stop = run->size;
			i += ksplice_match_code(live + i, bytes + i, stop - i, run->addr + i);
			if (i < stop)
				return i;
		}
	}
	return -1;
}

static int ksplice_report_difference(struct ksplice_update *update, const struct ksplice_run *run,
				     const u8 *live, u32 at)
{
	const u8 *bytes = (const u8 *)(unsigned long)run->bytes;
	u32 shown = min_t(u32, KSPLICE_SHOWN, run->size - at);

	ksplice_note(update, "function %s offset 0x%x address %px\nexpected %*ph\nfound    %*ph\n",
		     ksplice_str(run->name), at, (void *)(unsigned long)(run->addr + at),
		     (int)shown, bytes + at, (int)shown, live + at);
	return ksplice_abort(update, KSPLICE_NO_MATCH,
			     "%s+0x%x in the running kernel is not the code that the update was made for: expected %*ph, found %*ph",
			     ksplice_str(run->name), at, (int)shown, bytes + at, (int)shown,
			     live + at);
}

static int ksplice_verify_run(struct ksplice_update *update, struct ksplice_member *member,
			      const struct ksplice_run *run)
{
	u8 *live;
	int at = -1;
	int ret;

	if (!ksplice_is_code(member, run))
		return ksplice_abort(update, KSPLICE_NO_MATCH, "%s is not code of %s",
				     ksplice_str(run->name), ksplice_str(member->object->target));
	live = ksplice_alloc(run->size);
	if (!live)
		return ksplice_abort(update, KSPLICE_OUT_OF_MEMORY, "no memory to verify %s",
				     ksplice_str(run->name));
	mutex_lock(&ftrace_lock);
	mutex_lock(&text_mutex);
	ret = copy_from_kernel_nofault(live, (void *)(unsigned long)run->addr, run->size);
	if (!ret) {
		ksplice_undo_kprobes(live, run->addr, run->size);
		ksplice_undo_jumps(live, run->addr, run->size);
		at = ksplice_first_difference(run, live);
	}
	mutex_unlock(&text_mutex);
	mutex_unlock(&ftrace_lock);
	if (ret)
		ret = ksplice_abort(update, KSPLICE_NO_MATCH, "%s cannot be read",
				    ksplice_str(run->name));
	else if (at >= 0)
		ret = ksplice_report_difference(update, run, live, at);
	kvfree(live);
	return ret;
}

/* Verifies all run code and places of one member; aborts the update at the first difference. */
int ksplice_verify(struct ksplice_update *update, struct ksplice_member *member)
{
	u32 i;
	int ret;

	for (i = 0; i < member->object->nr_runs; i++) {
		ret = ksplice_verify_run(update, member, &ksplice_runs(member->object)[i]);
		if (ret)
			return ret;
	}
	return ksplice_verify_places(update, member);
}
