// SPDX-License-Identifier: GPL-2.0
/*
 * Which functions are redirected by a jump (jump.c), and which stay on the ftrace handler (redirect.c),
 * and why. The handler is right for every function that has an ftrace site; the jump needs that the
 * instructions which it covers are nobody's but the function's own:
 *
 *	- the kernel does not rewrite them while it runs (a jump label, a static call, a lock prefix on a
 *	  host that may get a second processor). What is settled at the start, such as return thunks, is
 *	  not in the way
 *	- no kprobe stands on them
 *	- the function does not lead back to them: then they are run only by who calls it
 *	- no task may be in them, as --allow-busy permits it
 *	- the handling of a breakpoint does not need the function
 *
 * An update on top of another one turns the jump that is there, and stays on the handler where that one
 * is on it.
 */
#include <linux/memory.h>
#include <linux/moduleparam.h>
#include <linux/uaccess.h>
#include <asm/insn.h>

#include "core.h"

static bool ksplice_count_calls = true;
module_param_named(count_calls, ksplice_count_calls, bool, 0644);
MODULE_PARM_DESC(count_calls, "count the calls of replaced functions that the handler redirects (read when an update is applied)");

static bool ksplice_settle = true;
module_param_named(settle, ksplice_settle, bool, 0644);
MODULE_PARM_DESC(settle, "redirect functions by a jump where that can be done (read when an update is applied)");

/*
 * What runs between a breakpoint in the kernel and our notifier, of exc_int3(): an NMI that calls one of
 * these while its jump is being written would go round in circles.
 */
static const char ksplice_breakpoint_path[] =
	"do_int3 kgdb_ll_trap __kgdb_notify kprobe_int3_handler get_kprobe kprobe_exceptions_notify "
	"notify_die atomic_notifier_call_chain notifier_call_chain arch_uprobe_exception_notify "
	"uprobe_pre_sstep_notifier uprobe_post_sstep_notifier func_ptr_is_kernel_text "
	"kernel_text_address __kernel_text_address core_kernel_text rcu_is_watching __rcu_read_lock "
	"__rcu_read_unlock rcu_read_unlock_special rcu_read_unlock_strict "
	"rcu_lockdep_current_cpu_online debug_lockdep_rcu_enabled lock_acquire lock_release "
	"lock_is_held_type preempt_count_add preempt_count_sub";

static const char *ksplice_range_in_the_way(const struct ksplice_run *run, u32 start, u32 end)
{
	const struct ksplice_range *ranges = (void *)(unsigned long)run->ranges;
	u32 i;

	for (i = 0; i < run->nr_ranges; i++) {
		if (ranges[i].offset >= end || ranges[i].offset + ranges[i].length <= start)
			continue;
		if (ranges[i].kind == KSPLICE_RANGE_STATIC_CALL)
			return "a static call is where the jump would be";
		if (ranges[i].kind == KSPLICE_RANGE_VARIANTS)
			return "the kernel may rewrite the place of the jump";
	}
	return NULL;
}

/* The bytes of whole instructions that a jump at addr covers, as they are now; NULL or the reason. */
static const char *ksplice_take_bytes(struct ksplice_body *body, unsigned long addr,
				      unsigned long end)
{
	u8 live[KSPLICE_MAX_JUMP];
	unsigned int size = 0, room = min(end - addr, (unsigned long)sizeof(live));
	struct insn insn;

	if (copy_from_kernel_nofault(live, (void *)addr, room))
		return "its code cannot be read";
	while (size < KSPLICE_JUMP_SIZE) {
		if (size >= room)
			return "it is too short for a jump";
		if (ksplice_has_kprobe(addr + size, 1))
			return "a kprobe is where the jump would be";
		if (live[size] == 0xcc || insn_decode(&insn, live + size, room - size, INSN_MODE_KERN))
			return "its code cannot be decoded";
		size += insn.length;
	}
	memcpy(body->before, live, size);
	body->jump_size = size;
	return NULL;
}

static void ksplice_make_jump(struct ksplice_body *body, s64 distance)
{
	memset(body->after, 0x90, sizeof(body->after));
	body->after[0] = 0xe9;
	*(s32 *)(body->after + 1) = distance;
}

/* Where the jump leads: no ENDBR is needed there, which may stand before the new body's own site. */
static unsigned long ksplice_jump_target(const struct ksplice_body *body)
{
	return ksplice_site(body->new_addr) ?: body->new_addr;
}

/* Decides for one body; NULL if it gets a jump, or why not. */
static const char *ksplice_choose_body(const struct ksplice_update *update,
				       struct ksplice_body *body)
{
	const struct ksplice_run *run = ksplice_function_run(body->function);
	unsigned long addr = ksplice_jump_addr(body);
	s64 distance = ksplice_jump_target(body) - (addr + KSPLICE_JUMP_SIZE);
	const char *why;

	if (distance != (s32)distance)
		return "its new code is too far away";
	if (body->below && !body->below->jump_size)
		return "so is the update below";
	if (body->below) {
		body->jump_size = body->below->jump_size;
		memcpy(body->before, body->below->after, sizeof(body->before));
		ksplice_make_jump(body, distance);
		return NULL;
	}
	if (!update->settle || !ksplice_settle)
		return "the update was applied so";
	if (ksplice_listed(ksplice_breakpoint_path, ksplice_str(body->function->name)))
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
	ksplice_make_jump(body, distance);
	return NULL;
}

static void ksplice_refuse_jump(struct ksplice_body *body, const char *why)
{
	if (!body->below && body->jump_size) {
		body->jump_size = 0;
		body->why = why;
	}
}

/* Some code leads to addr. No jump may be there. */
static void ksplice_refuse_target(struct ksplice_batch *batch, unsigned long addr)
{
	unsigned int back;

	for (back = 0; back < KSPLICE_MAX_JUMP; back++) {
		const struct ksplice_slot *slot =
			ksplice_find_slot(batch, addr - back - MCOUNT_INSN_SIZE);

		if (slot && back < slot->bottom->jump_size)
			ksplice_refuse_jump(slot->bottom, "its own code leads to the place of the jump");
	}
}

/* Where the instruction leads, but for the next one; 0 if nowhere that is known. */
static unsigned long ksplice_branch_target(const struct insn *insn, unsigned long addr)
{
	u8 first = insn->opcode.bytes[0], second = insn->opcode.bytes[1];

	if (first == 0xe8 || first == 0xe9 || first == 0xeb || (first & 0xf0) == 0x70 ||
	    (first & 0xfc) == 0xe0 || (first == 0x0f && (second & 0xf0) == 0x80))
		return addr + insn->length + insn->immediate.value;
	return 0;
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
			ksplice_refuse_target(batch, target);
		at += insn.length;
	}
	return true;
}

static void ksplice_follow_member(struct ksplice_batch *batch, const struct ksplice_member *member)
{
	unsigned int i, j;

	for (i = 0; i < member->object->nr_runs; i++) {
		if (ksplice_follow_code(batch, &ksplice_runs(member->object)[i]))
			continue;
		for (j = 0; j < batch->nr_bodies; j++)
			if (batch->bodies[j].member == member)
				ksplice_refuse_jump(&batch->bodies[j], "its code cannot be decoded");
	}
}

/* Has the batch the slot of this body, or an older one? */
static bool ksplice_own_slot(const struct ksplice_batch *batch, const struct ksplice_body *body)
{
	return ksplice_find_slot(batch, body->slot->ip) == body->slot;
}

/* Chooses for all bodies of the batch, which is not armed yet. Returns 0, or aborts. */
int ksplice_choose(struct ksplice_update *update, struct ksplice_batch *batch)
{
	const struct ksplice_member *member;
	unsigned int i;

	for (i = 0; i < batch->nr_bodies; i++)
		batch->bodies[i].why = ksplice_choose_body(update, &batch->bodies[i]);
	list_for_each_entry(member, &update->members, list)
		if (member->batch == batch)
			ksplice_follow_member(batch, member);
	for (i = 0; i < batch->nr_bodies; i++) {
		struct ksplice_body *body = &batch->bodies[i];

		if (body->jump_size) {
			batch->nr_jumps++;
			continue;
		}
		if (body->below && body->below->jump_size)
			return ksplice_abort(update, KSPLICE_UNEXPECTED,
					     "the jump of function %s cannot be turned: %s",
					     ksplice_str(body->function->name), body->why);
		if (ksplice_own_slot(batch, body))
			batch->ips[batch->nr_ips++] = body->slot->ip;
		if (!ksplice_count_calls)
			continue;
		body->calls = ksplice_alloc_counter();
		if (!body->calls)
			return ksplice_abort(update, KSPLICE_OUT_OF_MEMORY,
					     "no memory for call counters");
	}
	return 0;
}
