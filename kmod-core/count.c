// SPDX-License-Identifier: GPL-2.0
/*
 * Counting the calls that a jump redirects (jump.c): the jump leads to the body's counter, a few
 * instructions in the update module, which count and go on to the new body.
 *
 *	incq %gs:counter	or	movabs $counter, %r11
 *	jmp new body			incq   %gs:(%r11)
 *					jmp    new body
 *
 * The first form reaches the per-cpu data of modules only, of which a kernel has little (8 KiB for all of
 * them): so the core has a few counters there, for the updates that come first, and all other ones are the
 * allocator's, anywhere.
 *
 * Who calls a function expects nothing of the flags and of %r11 where it begins. There is one exception:
 * -fipa-ra lets a function rely on what another one of its unit leaves alone. The compiler does that in
 * units only that are built without -pg, which have no ftrace sites: the calls of bare functions are not
 * counted.
 *
 * A counter is written before any call comes to it, and lives as long as the batch. Counting is switched on
 * and off by turning the jump, in the steps in which it was written; both ways lead to the same new body, so
 * that it does not matter where tasks are.
 */
#include <linux/memory.h>
#include <linux/mm.h>
#include <linux/vmalloc.h>

#include "core.h"

static unsigned int ksplice_put(u8 *code, const void *bytes, unsigned int nr)
{
	memcpy(code, bytes, nr);
	return nr;
}

static void ksplice_counter_code(const struct ksplice_body *body, u8 *code)
{
	unsigned long offset = (__force unsigned long)body->calls, end;
	unsigned int size;
	s32 distance;

	memset(code, 0xcc, KSPLICE_COUNTER_SIZE);
	if ((s64)offset == (s32)offset) {
		size = ksplice_put(code, "\x65\x48\xff\x04\x25", 5);
		size += ksplice_put(code + size, &(s32){ offset }, 4);
	} else {
		size = ksplice_put(code, "\x49\xbb", 2);
		size += ksplice_put(code + size, &offset, 8);
		size += ksplice_put(code + size, "\x65\x49\xff\x03", 4);
	}
	end = body->function->counter + size + KSPLICE_JUMP_SIZE;
	distance = (ksplice_site(body->new_addr) ?: body->new_addr) - end;
	code[size++] = 0xe9;
	ksplice_put(code + size, &distance, 4);
}

/* Nobody comes there yet. The processors serialize themselves before one does, when the jump is written. */
static int ksplice_write_counter(struct ksplice_update *update, const struct ksplice_body *body)
{
	unsigned long addr = body->function->counter;
	struct page *page = vmalloc_to_page((void *)addr);
	u8 code[KSPLICE_COUNTER_SIZE];
	bool probed;
	u8 *map;

	map = page && !ksplice_alloc_fails() ? vmap(&page, 1, VM_MAP, PAGE_KERNEL) : NULL;
	if (!map)
		return ksplice_abort(update, KSPLICE_OUT_OF_MEMORY, "no memory to write a counter");
	ksplice_counter_code(body, code);
	ksplice_lock_text();
	probed = ksplice_has_kprobe(addr, KSPLICE_COUNTER_SIZE);
	if (!probed)
		memcpy(map + offset_in_page(addr), code, sizeof(code));
	ksplice_unlock_text();
	vunmap(map);
	if (probed)
		return ksplice_abort(update, KSPLICE_CONFLICT, "a kprobe stands in the counter of function %s",
				     ksplice_str(body->function->name));
	return 0;
}

/*
 * Makes the counter of a body that a jump redirects, if it can have one: then body->calls is not NULL.
 * Returns 0, or aborts.
 */
int ksplice_make_counter(struct ksplice_update *update, struct ksplice_body *body)
{
	u8 jump[KSPLICE_MAX_JUMP];
	int ret;

	if (body->calls || body->slot->bare || !body->function->counter ||
	    !ksplice_make_jump(body, true, jump))
		return 0;
	body->calls = ksplice_alloc_counter(true);
	if (!body->calls)
		return ksplice_abort(update, KSPLICE_OUT_OF_MEMORY, "no memory for call counters");
	ret = ksplice_write_counter(update, body);
	if (ret) {
		ksplice_free_counter(body->calls);
		body->calls = NULL;
	}
	return ret;
}

/* The jumps of an update that are turned together. */
struct ksplice_turn {
	struct ksplice_update *update;
	bool on;
	u8 (*jumps)[KSPLICE_MAX_JUMP];	/* of the bodies, as they are found */
	struct ksplice_pokes *pokes;
	unsigned int nr_pokes;
	struct ksplice_meeting meeting;
};

static bool ksplice_is_turned(const struct ksplice_turn *turn, const struct ksplice_body *body)
{
	return body->jump_size && body->calls && body->counted != turn->on;
}

/* The jump that is live is that of the newest body. */
static int ksplice_plan_turn(struct ksplice_turn *turn)
{
	struct ksplice_batch *batch;
	unsigned int i, nr = 0;
	int ret = 0;

	list_for_each_entry(batch, &turn->update->batches, list)
		for (i = 0; i < batch->nr_bodies; i++, nr++)
			if (turn->on && batch->bodies[i].jump_size && !ret)
				ret = ksplice_make_counter(turn->update, &batch->bodies[i]);
	if (ret)
		return ret;
	turn->jumps = ksplice_alloc((nr + 1) * sizeof(*turn->jumps));
	turn->pokes = turn->jumps ? ksplice_alloc_pokes(nr) : NULL;
	nr = 0;
	list_for_each_entry(batch, &turn->update->batches, list) {
		for (i = 0; turn->pokes && i < batch->nr_bodies; i++, nr++) {
			const struct ksplice_body *body = &batch->bodies[i];

			ksplice_make_jump(body, turn->on, turn->jumps[nr]);
			if (!ksplice_is_turned(turn, body) || body->slot->top != body)
				continue;
			ksplice_add_poke(turn->pokes, body, body->after, turn->jumps[nr]);
			turn->nr_pokes++;
		}
	}
	turn->pokes = turn->pokes ? ksplice_ready_pokes(turn->pokes) : NULL;
	if (!turn->pokes)
		return ksplice_abort(turn->update, KSPLICE_OUT_OF_MEMORY, "no memory to turn the jumps");
	return 0;
}

static int ksplice_lead_turn(struct ksplice_meeting *meeting)
{
	struct ksplice_turn *turn = container_of(meeting, struct ksplice_turn, meeting);

	ksplice_begin_pokes(turn->pokes, meeting);
	ksplice_end_pokes(turn->pokes, meeting);
	return 0;
}

static int ksplice_do_turn(struct ksplice_turn *turn)
{
	const struct ksplice_body *wrong;
	int ret = 0;

	if (!turn->nr_pokes)
		return 0;
	ksplice_lock_text();
	wrong = ksplice_wrong_poke(turn->pokes);
	if (!wrong)
		ret = ksplice_stop_machine(&turn->meeting);
	ksplice_unlock_text();
	return wrong ? ksplice_report_poke(turn->update, wrong) : ret;
}

/* The jump of a body is another one, also for the body above it, which puts it back one day. */
static void ksplice_keep_jump(struct ksplice_body *body, const u8 *jump, bool counted)
{
	struct ksplice_batch *batch;
	unsigned int i;

	body->counted = counted;
	memcpy(body->after, jump, sizeof(body->after));
	list_for_each_entry(batch, &ksplice_batches, all)
		for (i = 0; i < batch->nr_bodies; i++)
			if (batch->bodies[i].below == body)
				memcpy(batch->bodies[i].before, jump, sizeof(body->after));
}

static void ksplice_keep_turn(struct ksplice_turn *turn)
{
	struct ksplice_batch *batch;
	unsigned int i, nr = 0;

	list_for_each_entry(batch, &turn->update->batches, list)
		for (i = 0; i < batch->nr_bodies; i++, nr++)
			if (ksplice_is_turned(turn, &batch->bodies[i]))
				ksplice_keep_jump(&batch->bodies[i], turn->jumps[nr], turn->on);
}

/*
 * Counts the calls of an update's functions from now on, or no more; of one that is not applied yet, when it
 * will be. Returns 0, or aborts: nothing changed. What was counted is kept.
 */
int ksplice_count(struct ksplice_update *update, bool on)
{
	struct ksplice_turn turn = { .update = update, .on = on, .meeting.lead = ksplice_lead_turn };
	int ret;

	ksplice_begin(update);
	ret = ksplice_plan_turn(&turn);
	if (!ret)
		ret = ksplice_do_turn(&turn);
	if (!ret) {
		ksplice_keep_turn(&turn);
		update->count_calls = on;
	}
	ksplice_free_pokes(turn.pokes);
	kvfree(turn.jumps);
	return ret;
}
