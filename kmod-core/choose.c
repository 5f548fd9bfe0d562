// SPDX-License-Identifier: GPL-2.0
/*
 * Which functions are redirected by a jump (jump.c), and which stay on the ftrace handler (redirect.c),
 * and why. The handler is right for every function that has an ftrace site; the jump needs that the
 * instructions which it covers are nobody's but the function's own:
 *
 *	- the kernel does not rewrite them while it runs (a jump label, a static call, the place of a
 *	  lock prefix on a host that may get a second processor). What is settled at the start, such as
 *	  alternatives and return thunks, is not in the way
 *	- no kprobe stands on them
 *	- the function does not lead back to the first of them, on which the breakpoint stands while they are
 *	  written: who meets it must be one who calls it. A loop that begins behind it is no hindrance, as its
 *	  bytes change only when nobody is in the function any more, nor will be
 *	- no task may be in them, as --allow-busy permits it
 *	- the handling of a breakpoint does not need the function
 *
 * An update on top of another one turns the jump that is there, and stays on the handler where that one
 * is on it.
 *
 * A function without an ftrace site (notrace, or of a file that is built without them: a seventh of the
 * kernel) is bare: it gets its jump at the entry, behind an ENDBR, or the update is refused. The same
 * holds there. That a call or the jump of another function leads to its first byte is no hindrance:
 * this is how it is called. Code that runs before the kernel has set itself up (noinstr, entry, idle)
 * is refused: the new body would not be there, or would not be allowed to run there.
 */
#include <linux/memory.h>
#include <linux/moduleparam.h>
#include <linux/uaccess.h>
#include <asm/insn.h>

#include "breakpoint_path.h"
#include "core.h"

static bool ksplice_count_calls = true;
module_param_named(count_calls, ksplice_count_calls, bool, 0644);
MODULE_PARM_DESC(count_calls, "count the calls that the handler redirects (read when an update is applied)");

static bool ksplice_settle = true;
module_param_named(settle, ksplice_settle, bool, 0644);
MODULE_PARM_DESC(settle, "redirect functions by a jump where that can be done (read when an update is applied)");

/* The kernel does without the call where it can, so that a new body would be called by some only. */
static const char ksplice_rewritten[] = "__static_call_return0";

#define KSPLICE_LOCK 0xf0

static const char ksplice_probed[] = "a kprobe is where the jump would be";

static const char *ksplice_range_in_the_way(const struct ksplice_run *run, u32 start, u32 end)
{
	const struct ksplice_range *ranges = (void *)(unsigned long)run->ranges;
	u32 i;

	for (i = 0; i < run->nr_ranges; i++) {
		if (ranges[i].offset >= end || ranges[i].offset + ranges[i].length <= start)
			continue;
		/* A lock prefix that is there is never taken away; one that is not may come. */
		if (ranges[i].length == 1 && *(u8 *)(run->addr + ranges[i].offset) == KSPLICE_LOCK)
			continue;
		if (ranges[i].kind == KSPLICE_RANGE_STATIC_CALL)
			return "a static call is where the jump would be";
		if (ranges[i].kind == KSPLICE_RANGE_VARIANTS)
			return "the kernel may rewrite the place of the jump";
	}
	return NULL;
}

/* Does nothing behind the instruction run, unless it is led to? */
static bool ksplice_ends_code(const struct insn *insn)
{
	u8 first = insn->opcode.bytes[0];

	return first == 0xc3 || first == 0xe9 || first == 0xeb;
}

/* The bytes of whole instructions that a jump at addr covers, as they are now; NULL or the reason. */
static const char *ksplice_take_bytes(struct ksplice_body *body, unsigned long addr,
				      unsigned long end)
{
	u8 live[KSPLICE_MAX_JUMP];
	unsigned int size = 0, room = min(end - addr, (unsigned long)sizeof(live));
	bool over = false;
	struct insn insn;

	if (copy_from_kernel_nofault(live, (void *)addr, room))
		return "its code cannot be read";
	while (size < KSPLICE_JUMP_SIZE) {
		if (size >= room)
			return "it is too short for a jump";
		if (ksplice_has_kprobe(addr + size, 1))
			return ksplice_probed;
		/* A return of one byte has the room of a jump to the return thunk. */
		if (over && live[size] == 0xcc) {
			size++;
			continue;
		}
		if (live[size] == 0xcc || insn_decode(&insn, live + size, room - size, INSN_MODE_KERN))
			return "its code cannot be decoded";
		over = ksplice_ends_code(&insn);
		size += insn.length;
	}
	memcpy(body->before, live, size);
	body->jump_size = size;
	return NULL;
}

/* Why a function that has no ftrace site may not be redirected at all, or NULL. */
static const char *ksplice_untouchable(const struct ksplice_body *body)
{
	static const u8 nop[] = { 0x0f, 0x1f, 0x44, 0x00, 0x00 };	/* as BPF has it for its dispatchers */
	unsigned long addr = ksplice_function_run(body->function)->addr;

	if (ksplice_is_noinstr(addr, body->batch->member->target))
		return "it is noinstr, entry or idle code";
	if (ksplice_listed(ksplice_rewritten, ksplice_str(body->function->name)))
		return "the kernel rewrites the calls of it";
	if (!memcmp((void *)ksplice_jump_addr(body), nop, sizeof(nop)))
		return "somebody else may write a call at its entry";
	return NULL;
}

/* Decides for one body; NULL if it gets a jump, or why not. */
static const char *ksplice_choose_body(const struct ksplice_update *update,
				       struct ksplice_body *body)
{
	const struct ksplice_run *run = ksplice_function_run(body->function);
	unsigned long addr = ksplice_jump_addr(body);
	const char *why;

	if (!ksplice_make_jump(body, false, body->after))
		return "its new code is too far away";
	if (body->below && !body->below->jump_size)
		return "so is the update below";
	if (body->below) {
		body->jump_size = body->below->jump_size;
		memcpy(body->before, body->below->after, sizeof(body->before));
		return NULL;
	}
	if (!update->settle || !ksplice_settle)
		return body->slot->bare ? "jumps are switched off (--no-settle, or settle of ksplice.ko)" :
					  "the update was applied so";
	why = body->slot->bare ? ksplice_untouchable(body) : NULL;
	if (why)
		return why;
	if (ksplice_listed(KSPLICE_BREAKPOINT_PATH, ksplice_str(body->function->name)))
		return "the handling of breakpoints may call it";
	if (ksplice_listed(update->allow_busy, ksplice_str(body->function->name)))
		return "its old code may stay in use";
	mutex_lock(&text_mutex);
	why = ksplice_take_bytes(body, addr, run->addr + run->size);
	mutex_unlock(&text_mutex);
	if (!why)
		why = ksplice_range_in_the_way(run, addr - run->addr,
					       addr - run->addr + body->jump_size);
	if (why) {
		body->jump_size = 0;
		return why;
	}
	return NULL;
}

static void ksplice_refuse_jump(struct ksplice_body *body, const char *why)
{
	if (!body->below && body->jump_size) {
		body->jump_size = 0;
		body->why = why;
	}
}

/*
 * May a processor that is offline sleep in the function? It takes no part in what is done while the machine
 * stands still, and has no task to look at.
 */
bool ksplice_sleeps_offline(const struct ksplice_body *body)
{
	const char *name = ksplice_str(body->function->name);

	return strstr(name, "play_dead") || strstr(name, "idle_dead");
}

/* May a jump of run lead to the first byte of the jump of this slot? */
static bool ksplice_is_call(const struct ksplice_slot *slot, const struct ksplice_run *run, bool call)
{
	return slot->bare && (call || run != ksplice_function_run(slot->bottom->function));
}

/* Some code of run leads to addr, with a call or a jump. No jump may be there. */
static void ksplice_refuse_target(struct ksplice_batch *batch, unsigned long addr,
				  const struct ksplice_run *run, bool call)
{
	unsigned int back;

	for (back = 0; back < KSPLICE_MAX_JUMP + MCOUNT_INSN_SIZE; back++) {
		const struct ksplice_slot *slot = ksplice_find_slot(batch, addr - back);
		unsigned int before = slot && !slot->bare ? MCOUNT_INSN_SIZE : 0;

		if (!slot || back < before || back - before >= slot->bottom->jump_size)
			continue;
		if (back == before ? !ksplice_is_call(slot, run, call) :
				     ksplice_sleeps_offline(slot->bottom))
			ksplice_refuse_jump(slot->bottom, "its own code leads to the place of the jump");
	}
}

/* Looks where the code leads; false if it cannot be decoded. */
static bool ksplice_follow_code(struct ksplice_batch *batch, const struct ksplice_run *run)
{
	const u8 *bytes = (const u8 *)(unsigned long)run->bytes;
	u32 at = 0;

	while (at < run->size) {
		struct insn insn;
		unsigned long target;

		if (insn_decode(&insn, bytes + at, run->size - at, INSN_MODE_KERN))
			return false;
		target = ksplice_branch_target(&insn, run->addr + at);
		if (target)
			ksplice_refuse_target(batch, target, run, insn.opcode.bytes[0] == 0xe8);
		at += insn.length;
	}
	return true;
}

static void ksplice_follow_batch(struct ksplice_batch *batch)
{
	const struct ksplice_object *object = batch->member->object;
	unsigned int i, j;

	for (i = 0; i < object->nr_runs; i++) {
		if (ksplice_follow_code(batch, &ksplice_runs(object)[i]))
			continue;
		for (j = 0; j < batch->nr_bodies; j++)
			ksplice_refuse_jump(&batch->bodies[j], "its code cannot be decoded");
	}
}

/* Has the batch the slot of this body, or an older one? */
static bool ksplice_own_slot(const struct ksplice_batch *batch, const struct ksplice_body *body)
{
	return ksplice_find_slot(batch, body->slot->ip) == body->slot;
}

/* A function that has no ftrace site gets a jump, or the update cannot be applied. */
static int ksplice_refuse_bare(struct ksplice_update *update, const struct ksplice_body *body)
{
	const char *name = ksplice_str(body->function->name);

	ksplice_note(update, "function %s has no ftrace site, and cannot have a jump: %s\n", name, body->why);
	return ksplice_abort(update, body->why == ksplice_probed ? KSPLICE_CONFLICT : KSPLICE_NO_FTRACE_SITE,
			     "function %s has no ftrace site, and no jump can be at its entry: %s", name,
			     body->why);
}

/* Chooses for all bodies of the batch, which is not armed yet. Returns 0, or aborts. */
int ksplice_choose(struct ksplice_update *update, struct ksplice_batch *batch)
{
	unsigned int i;
	int ret;

	for (i = 0; i < batch->nr_bodies; i++)
		batch->bodies[i].why = ksplice_choose_body(update, &batch->bodies[i]);
	ksplice_follow_batch(batch);
	for (i = 0; i < batch->nr_bodies; i++) {
		struct ksplice_body *body = &batch->bodies[i];

		if (body->jump_size) {
			batch->nr_jumps++;
			ret = update->count_calls ? ksplice_make_counter(update, body) : 0;
			if (ret)
				return ret;
			body->counted = body->calls;
			ksplice_make_jump(body, body->counted, body->after);
			continue;
		}
		if (body->slot->bare && !body->below)
			return ksplice_refuse_bare(update, body);
		if (body->below && body->below->jump_size)
			return ksplice_abort(update, KSPLICE_UNEXPECTED,
					     "the jump of function %s cannot be turned: %s",
					     ksplice_str(body->function->name), body->why);
		if (ksplice_own_slot(batch, body))
			batch->ips[batch->nr_ips++] = body->slot->ip;
		if (!ksplice_count_calls)
			continue;
		body->calls = ksplice_alloc_counter(false);
		if (!body->calls)
			return ksplice_abort(update, KSPLICE_OUT_OF_MEMORY,
					     "no memory for call counters");
	}
	return 0;
}
