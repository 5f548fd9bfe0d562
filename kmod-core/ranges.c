// SPDX-License-Identifier: GPL-2.0
/*
 * Which code must no task be in? A sorted table of address ranges.
 *
 * When an update is switched on, they are the code that its objects say must not be on any stack
 * (struct ksplice_run: replaced functions with their .cold parts, and what they are inlined in). When
 * it is switched off, they are the text of its modules; of a module that stays in memory only the new
 * bodies, as a task may live in the rest of it for ever. In both cases they are also the return
 * addresses of the ftrace calls where a body goes that the handler leads to: a task with one of these may
 * have been sent to that body by a handler that it has not yet left.
 */
#include <linux/ftrace.h>
#include <linux/mm.h>
#include <linux/sort.h>

#include "core.h"

static void ksplice_add_range(struct ksplice_ranges *ranges, unsigned long start, unsigned long end,
			      const char *name)
{
	struct ksplice_code_range *range = &ranges->list[ranges->nr++];

	range->start = start;
	range->end = end;
	range->name = name;
}

static int ksplice_compare_ranges(const void *a, const void *b)
{
	const struct ksplice_code_range *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return 0;
}

/* Overlapping ranges become one, so that a binary search finds any. */
static void ksplice_sort_ranges(struct ksplice_ranges *ranges)
{
	unsigned int from, to = 0;

	sort(ranges->list, ranges->nr, sizeof(*ranges->list), ksplice_compare_ranges, NULL);
	for (from = 0; from < ranges->nr; from++) {
		struct ksplice_code_range *last = to ? &ranges->list[to - 1] : NULL;

		if (last && ranges->list[from].start < last->end)
			last->end = max(last->end, ranges->list[from].end);
		else
			ranges->list[to++] = ranges->list[from];
	}
	ranges->nr = to;
}

/* The range that holds addr, or NULL. */
const struct ksplice_code_range *ksplice_find_range(const struct ksplice_ranges *ranges,
						    unsigned long addr)
{
	unsigned int low = 0, high = ranges->nr;

	while (low < high) {
		unsigned int middle = (low + high) / 2;

		if (ranges->list[middle].start > addr)
			high = middle;
		else
			low = middle + 1;
	}
	/* low - 1 starts at or before addr; if addr is only its start, low - 2 may end there. */
	if (low && addr <= ranges->list[low - 1].end)
		return &ranges->list[low - 1];
	if (low > 1 && addr <= ranges->list[low - 2].end)
		return &ranges->list[low - 2];
	return NULL;
}

static unsigned int ksplice_count_ranges(const struct ksplice_update *update)
{
	const struct ksplice_member *member;
	const struct ksplice_batch *batch;
	unsigned int nr = 0;

	list_for_each_entry(member, &update->members, list)
		nr += member->object->nr_runs + 2 * member->object->nr_functions + 1;
	list_for_each_entry(batch, &update->batches, list)
		nr += 2 * batch->nr_bodies;
	return nr;
}

/* A task that is in the handler has the return address of the call at the site on its stack. */
static void ksplice_add_site(struct ksplice_ranges *ranges, const struct ksplice_body *body)
{
	unsigned long ret = body->slot->ip + MCOUNT_INSN_SIZE;

	if (body->jump_size)
		return;		/* there the jump stands, and leads where it leads by then */
	ksplice_add_range(ranges, ret, ret, ksplice_str(body->function->name));
}

/* A task that is in the counter of a body will come to that body. */
static void ksplice_add_counter(struct ksplice_ranges *ranges, const struct ksplice_function *function)
{
	if (function->counter)
		ksplice_add_range(ranges, function->counter, function->counter + KSPLICE_COUNTER_SIZE - 1,
				  ksplice_str(function->name));
}

/* The run code of a member, but for the functions that may be busy. */
static void ksplice_add_runs(struct ksplice_ranges *ranges, const struct ksplice_member *member,
			     const char *allowed)
{
	u32 i;

	for (i = 0; i < member->object->nr_runs; i++) {
		const struct ksplice_run *run = &ksplice_runs(member->object)[i];

		if (!ksplice_listed(allowed, ksplice_str(run->name)))
			ksplice_add_range(ranges, run->addr, run->addr + run->size,
					  ksplice_str(run->name));
	}
}

static void ksplice_apply_ranges(struct ksplice_ranges *ranges, const struct ksplice_batch *batch)
{
	const char *allowed = batch->update->allow_busy;
	unsigned int i;

	ksplice_add_runs(ranges, batch->member, allowed);
	for (i = 0; i < batch->nr_bodies; i++) {
		const struct ksplice_body *body = &batch->bodies[i];

		/* The runs say what belongs to the body below, which the proof is about. */
		if (!body->below || ksplice_listed(allowed, ksplice_str(body->function->name)))
			continue;
		ksplice_add_site(ranges, body);
		ksplice_add_counter(ranges, body->below->function);
	}
}

/* What of a member must be free before it is switched off. */
static void ksplice_add_new_code(struct ksplice_ranges *ranges, const struct ksplice_member *member)
{
	unsigned long start, end;
	u32 i;

	for (i = 0; member->object->kept && i < member->object->nr_functions; i++) {
		const struct ksplice_function *function = &ksplice_functions(member->object)[i];

		ksplice_add_range(ranges, function->new_addr,
				  function->new_addr + function->new_size,
				  ksplice_str(function->name));
		ksplice_add_counter(ranges, function);
	}
	if (!member->object->kept && ksplice_text_range(member->module, &start, &end))
		ksplice_add_range(ranges, start, end, member->module->name);
}

static void ksplice_reverse_ranges(struct ksplice_ranges *ranges, const struct ksplice_batch *batch)
{
	unsigned int i;

	ksplice_add_new_code(ranges, batch->member);
	for (i = 0; i < batch->nr_bodies; i++)
		ksplice_add_site(ranges, &batch->bodies[i]);
}

static int ksplice_alloc_ranges(struct ksplice_ranges *ranges, const struct ksplice_update *update)
{
	unsigned int nr = ksplice_count_ranges(update);

	ranges->nr = 0;
	ranges->list = ksplice_alloc((nr + 1) * sizeof(*ranges->list));
	return ranges->list ? 0 : -ENOMEM;
}

/* The code that must be free before the update is switched on or off. */
int ksplice_switch_ranges(struct ksplice_ranges *ranges, struct ksplice_update *update, bool on)
{
	const struct ksplice_batch *batch;
	int ret = ksplice_alloc_ranges(ranges, update);

	if (ret)
		return ret;
	list_for_each_entry(batch, &update->batches, list) {
		if (!ksplice_takes_part(batch, on))
			continue;
		if (on)
			ksplice_apply_ranges(ranges, batch);
		else
			ksplice_reverse_ranges(ranges, batch);
	}
	ksplice_sort_ranges(ranges);
	return 0;
}

/* The code that an applied update has replaced. */
int ksplice_old_ranges(struct ksplice_ranges *ranges, struct ksplice_update *update)
{
	struct ksplice_member *member;
	int ret = ksplice_alloc_ranges(ranges, update);

	if (ret)
		return ret;
	list_for_each_entry(member, &update->members, list)
		if (member->batch)
			ksplice_add_runs(ranges, member, NULL);
	ksplice_sort_ranges(ranges);
	return 0;
}

void ksplice_free_ranges(struct ksplice_ranges *ranges)
{
	kvfree(ranges->list);
	ranges->list = NULL;
	ranges->nr = 0;
}
