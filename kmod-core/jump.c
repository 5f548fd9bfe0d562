// SPDX-License-Identifier: GPL-2.0
/*
 * Jumps: the first instructions behind the ftrace site of a replaced function, or at the entry of one that
 * has none (behind an ENDBR), become a jump to its new body, so that a call costs one instruction more, and nobody who passes by the handler (a call at the
 * third nesting of tracers, a BPF trampoline that calls the original behind its site) runs the old code.
 *
 *	tcp_v4_rcv:  site of ftrace (untouched)
 *	             jmp new body; nops to the end of the last instruction that it covers
 *
 * All jumps of an update are written in the stopped instant in which it is switched on, and taken away
 * in that in which it is switched off. No task is in the code then (safety.c), no other processor runs
 * anything but the NMI, and kprobe_mutex and text_mutex are held, so that nobody has a copy of these
 * instructions in the making and nobody else writes. An NMI can interrupt any processor meanwhile, call
 * the function, and be anywhere in it. So it is done in the steps of the kernel's text_poke_bp():
 *
 *	int3 over the first byte;  meet;  all other bytes;  meet;  the first byte;  meet
 *
 * "Meet" is what the interrupt of text_poke_sync() is there: each processor serializes itself, and says
 * so, which it can do only when the NMI that it was in has ended. After the first, nobody is in the
 * bytes or will come further than the int3; after the second, nobody sees the new first byte with old
 * ones behind it; after the third, nobody is on his way from the int3. Who meets the int3 is sent on to
 * the new body, in both directions: it is a whole function, and stays for longer than the NMI lasts. One
 * byte is written whole. A loop that begins with the first byte would lead an NMI in its midst to the new
 * body as if it had called it: such functions are not redirected by a jump (choose.c), nor those that
 * the handling of the int3 itself calls. One that begins behind it finds its bytes as they were: they are
 * written when all have met.
 *
 * The nops keep the instructions that follow where a reader expects them: kprobes decodes a function
 * from its start to learn where a probe may stand. No probe may be in the bytes, not even a disabled
 * one, as it has a copy of what it stands on.
 *
 * The text is written through a second, writable mapping that is made for the switch only.
 */
#include <linux/cpu.h>
#include <linux/kdebug.h>
#include <linux/kprobes.h>
#include <linux/memory.h>
#include <linux/mm.h>
#include <linux/notifier.h>
#include <linux/ptrace.h>
#include <linux/sort.h>
#include <linux/stop_machine.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>
#include <asm/sync_core.h>
#include <asm/insn.h>

#include "core.h"

#define KSPLICE_INT3 0xcc
#define KSPLICE_MEETING_OVER (-1)

struct ksplice_poke {
	unsigned long addr;
	u8 *alias;			/* the same memory, writable */
	const u8 *from;			/* what must be there */
	const u8 *to;
	const struct ksplice_body *body;
};

struct ksplice_pokes {
	unsigned int nr;
	struct ksplice_poke *list;	/* sorted by addr */
	struct page **pages;		/* two for each */
	char *map;
};

/* The bytes that are being written; not NULL only while the machine stands still. */
static const struct ksplice_pokes *ksplice_poking;

/* An NMI has come upon the first byte of a jump that is being written. */
static int notrace ksplice_int3(struct notifier_block *nb, unsigned long event, void *data)
{
	struct pt_regs *regs = ((struct die_args *)data)->regs;
	const struct ksplice_pokes *pokes = smp_load_acquire(&ksplice_poking);
	unsigned int low = 0, high = pokes ? pokes->nr : 0;

	if (event != DIE_INT3 || user_mode(regs))
		return NOTIFY_DONE;
	while (low < high) {
		unsigned int middle = (low + high) / 2;

		if (pokes->list[middle].addr == regs->ip - 1) {
			regs->ip = pokes->list[middle].body->new_addr;
			return NOTIFY_STOP;
		}
		if (pokes->list[middle].addr < regs->ip)
			low = middle + 1;
		else
			high = middle;
	}
	return NOTIFY_DONE;
}
NOKPROBE_SYMBOL(ksplice_int3);

static struct notifier_block ksplice_int3_notifier = {
	.notifier_call = ksplice_int3,
	.priority = INT_MAX,
};

int ksplice_jump_init(void)
{
	return register_die_notifier(&ksplice_int3_notifier);
}

void ksplice_jump_exit(void)
{
	unregister_die_notifier(&ksplice_int3_notifier);
}

/* Puts the bytes back that our own jumps have replaced. */
void ksplice_undo_jumps(u8 *live, unsigned long addr, u32 size)
{
	const struct ksplice_batch *batch;
	unsigned int i, at;

	list_for_each_entry(batch, &ksplice_batches, all) {
		for (i = 0; READ_ONCE(batch->active) && i < batch->nr_bodies; i++) {
			const struct ksplice_body *body = &batch->bodies[i];
			unsigned long start = ksplice_jump_addr(body);

			if (!body->jump_size || body->below || start < addr)
				continue;
			for (at = 0; at < body->jump_size && start + at < addr + size; at++)
				live[start + at - addr] = body->before[at];
		}
	}
}

/*
 * Writes to code the jump of a body, to its counter or to the new body itself: behind the ENDBR there, which
 * it does not need, so that the new body's own site is first. False if that is too far away.
 */
bool ksplice_make_jump(const struct ksplice_body *body, bool counted, u8 *code)
{
	unsigned long target = counted ? body->function->counter :
			       ksplice_site(body->new_addr) ?: body->new_addr;
	s64 distance = target - (ksplice_jump_addr(body) + KSPLICE_JUMP_SIZE);

	memset(code, 0x90, KSPLICE_MAX_JUMP);
	code[0] = 0xe9;
	*(s32 *)(code + 1) = distance;
	return distance == (s32)distance;
}

static int ksplice_compare_pokes(const void *a, const void *b)
{
	const struct ksplice_poke *x = a, *y = b;

	if (x->addr != y->addr)
		return x->addr < y->addr ? -1 : 1;
	return 0;
}

/* The bytes of the body's jump are to become others. There is room for as many as were asked for. */
void ksplice_add_poke(struct ksplice_pokes *pokes, const struct ksplice_body *body, const u8 *from,
		      const u8 *to)
{
	pokes->list[pokes->nr++] = (struct ksplice_poke){
		.addr = ksplice_jump_addr(body),
		.from = from,
		.to = to,
		.body = body,
	};
}

static void ksplice_add_pokes(struct ksplice_pokes *pokes, const struct ksplice_batch *batch, bool on)
{
	unsigned int i;

	for (i = 0; i < batch->nr_bodies; i++) {
		const struct ksplice_body *body = &batch->bodies[i];

		if (body->jump_size)
			ksplice_add_poke(pokes, body, on ? body->before : body->after,
					 on ? body->after : body->before);
	}
}

static struct page *ksplice_text_page(unsigned long addr)
{
	return ksplice_in_image(addr) && core_kernel_text(addr) ? virt_to_page((void *)addr)
								: vmalloc_to_page((void *)addr);
}

/* One mapping for all: two pages for each jump, as it may cross from one to the next. */
static bool ksplice_map_pokes(struct ksplice_pokes *pokes)
{
	unsigned int i;

	pokes->pages = ksplice_alloc(2 * pokes->nr * sizeof(*pokes->pages));
	if (!pokes->pages)
		return false;
	for (i = 0; i < pokes->nr; i++) {
		const struct ksplice_poke *poke = &pokes->list[i];
		unsigned long last = poke->addr + poke->body->jump_size - 1;

		pokes->pages[2 * i] = ksplice_text_page(poke->addr);
		pokes->pages[2 * i + 1] = ksplice_text_page(last);
		if (!pokes->pages[2 * i] || !pokes->pages[2 * i + 1])
			return false;	/* a target that was unloaded by force */
	}
	if (!ksplice_alloc_fails())
		pokes->map = vmap(pokes->pages, 2 * pokes->nr, VM_MAP, PAGE_KERNEL);
	for (i = 0; pokes->map && i < pokes->nr; i++)
		pokes->list[i].alias = (u8 *)pokes->map + 2 * i * PAGE_SIZE +
				       offset_in_page(pokes->list[i].addr);
	return pokes->map;
}

void ksplice_free_pokes(struct ksplice_pokes *pokes)
{
	if (!pokes)
		return;
	if (pokes->map)
		vunmap(pokes->map);
	kvfree(pokes->pages);
	kvfree(pokes->list);
	kvfree(pokes);
}

/* Room for nr of them, for ksplice_add_poke() and then ksplice_ready_pokes(). NULL if there is no memory. */
struct ksplice_pokes *ksplice_alloc_pokes(unsigned int nr)
{
	struct ksplice_pokes *pokes = ksplice_alloc(sizeof(*pokes));

	if (pokes)
		pokes->list = ksplice_alloc((nr + 1) * sizeof(*pokes->list));
	if (pokes && !pokes->list) {
		ksplice_free_pokes(pokes);
		return NULL;
	}
	return pokes;
}

/* They can be written from now on; NULL, and they are freed, if there is no memory. */
struct ksplice_pokes *ksplice_ready_pokes(struct ksplice_pokes *pokes)
{
	sort(pokes->list, pokes->nr, sizeof(*pokes->list), ksplice_compare_pokes, NULL);
	if (!pokes->nr || ksplice_map_pokes(pokes))
		return pokes;
	ksplice_free_pokes(pokes);
	return NULL;
}

/* What there is to write when the update is switched on or off. NULL if there is no memory. */
struct ksplice_pokes *ksplice_make_pokes(const struct ksplice_update *update, bool on)
{
	const struct ksplice_batch *batch;
	struct ksplice_pokes *pokes;
	unsigned int nr = 0;

	list_for_each_entry(batch, &update->batches, list)
		nr += batch->nr_bodies;
	pokes = ksplice_alloc_pokes(nr);
	if (!pokes)
		return NULL;
	list_for_each_entry(batch, &update->batches, list)
		if (ksplice_takes_part(batch, on))
			ksplice_add_pokes(pokes, batch, on);
	return ksplice_ready_pokes(pokes);
}

/* While the machine runs: from now on nobody else writes code, or stands a probe on it. */
void ksplice_lock_text(void)
{
#ifdef CONFIG_KPROBES
	mutex_lock(&kprobe_mutex);
#endif
	cpus_read_lock();
	mutex_lock(&text_mutex);
}

void ksplice_unlock_text(void)
{
	mutex_unlock(&text_mutex);
	cpus_read_unlock();
#ifdef CONFIG_KPROBES
	mutex_unlock(&kprobe_mutex);
#endif
}

/* Where the instruction leads, but for the next one; 0 if nowhere that is known. */
unsigned long ksplice_branch_target(const struct insn *insn, unsigned long addr)
{
	u8 first = insn->opcode.bytes[0], second = insn->opcode.bytes[1];

	if (first == 0xe8 || first == 0xe9 || first == 0xeb || (first & 0xf0) == 0x70 ||
	    (first & 0xfc) == 0xe0 || (first == 0x0f && (second & 0xf0) == 0x80))
		return addr + insn->length + insn->immediate.value;
	return 0;
}

/*
 * The address of a kprobe that undo would make dangerous, or 0. The kernel does not optimize a probe if a
 * branch leads into the five bytes from it, but it does not see the branches that our jump has covered: one
 * that undo brings back could lead into the middle of the probe's own jump.
 */
static unsigned long ksplice_hidden_probe(const struct ksplice_body *body)
{
	const struct ksplice_run *run = ksplice_function_run(body->slot->bottom->function);
	unsigned long addr = ksplice_jump_addr(body), probe;
	unsigned int at = 0;

	while (at < body->jump_size) {
		struct insn insn;
		unsigned long target;

		if (insn_decode(&insn, body->before + at, body->jump_size - at, INSN_MODE_KERN))
			return 0;	/* what fills up behind a return */
		target = ksplice_branch_target(&insn, addr + at);
		at += insn.length;
		if (target - run->addr >= run->size)
			continue;
		for (probe = target - KSPLICE_JUMP_SIZE + 1; probe < target; probe++)
			if (ksplice_has_kprobe(probe, 1))
				return probe;
	}
	return 0;
}

/* Does it put the function's own bytes back? */
static bool ksplice_is_last(const struct ksplice_poke *poke)
{
	return !poke->body->below && poke->to == poke->body->before;
}

static bool ksplice_is_wrong(const struct ksplice_poke *poke)
{
	return memcmp((void *)poke->addr, poke->from, poke->body->jump_size) ||
	       ksplice_has_kprobe(poke->addr, poke->body->jump_size) ||
	       (ksplice_is_last(poke) && ksplice_hidden_probe(poke->body));
}

/* With the text locked, so that it stays so: a body of which the bytes are not what they should be. */
const struct ksplice_body *ksplice_wrong_poke(const struct ksplice_pokes *pokes)
{
	unsigned int i;

	for (i = 0; i < pokes->nr; i++)
		if (ksplice_is_wrong(&pokes->list[i]))
			return pokes->list[i].body;
	return NULL;
}

/* The same, and they are left as they are. */
void ksplice_skip_wrong_pokes(struct ksplice_pokes *pokes)
{
	unsigned int from, to = 0;

	for (from = 0; from < pokes->nr; from++)
		if (!ksplice_is_wrong(&pokes->list[from]))
			pokes->list[to++] = pokes->list[from];
	pokes->nr = to;
}

/* After ksplice_wrong_poke() has found one. */
int ksplice_report_poke(struct ksplice_update *update, const struct ksplice_body *body)
{
	const struct ksplice_function *oldest = body->slot->bottom->function;
	const char *name = ksplice_str(body->function->name);
	unsigned long addr = ksplice_jump_addr(body);
	bool probed = ksplice_has_kprobe(addr, body->jump_size);
	unsigned int offset = addr - ksplice_function_run(oldest)->addr;
	unsigned long hidden = 0;

	if (!probed && !body->below && !memcmp((void *)addr, body->after, body->jump_size))
		hidden = ksplice_hidden_probe(body);
	if (hidden) {
		offset = hidden - ksplice_function_run(oldest)->addr;
		ksplice_note(update, "function %s is probed at %s+0x%x\n", name, name, offset);
		return ksplice_abort(update, KSPLICE_CONFLICT,
				     "a kprobe stands at %s+0x%x, into which a branch leads that comes back",
				     name, offset);
	}
	ksplice_note(update, "function %s is %s at %s+0x%x\n", name, probed ? "probed" : "changed",
		     name, offset);
	if (probed)
		return ksplice_abort(update, KSPLICE_CONFLICT,
				     "a kprobe stands at %s+0x%x, where the jump to its new code is",
				     name, offset);
	return ksplice_abort(update, KSPLICE_CONFLICT,
			     "somebody else has changed %s+0x%x, where the jump to its new code is",
			     name, offset);
}

/* All processors meet: those that follow serialize themselves, as the one that leads does. */
static void ksplice_meet(struct ksplice_meeting *meeting)
{
	smp_store_release(&meeting->step, meeting->step + 1);
	while (atomic_read_acquire(&meeting->arrived) != meeting->step * meeting->followers)
		cpu_relax();
	sync_core();
}

/* What the other processors do meanwhile. */
static void ksplice_follow(struct ksplice_meeting *meeting)
{
	int seen = 0, step;

	while ((step = smp_load_acquire(&meeting->step)) != KSPLICE_MEETING_OVER) {
		if (step != seen) {
			seen = step;
			sync_core();
			atomic_inc(&meeting->arrived);
		}
		cpu_relax();
	}
}

static int ksplice_stopped(void *arg)
{
	struct ksplice_meeting *meeting = arg;
	int ret;

	if (smp_processor_id() != meeting->leader) {
		ksplice_follow(meeting);
		return 0;
	}
	ret = meeting->lead(meeting);
	smp_store_release(&meeting->step, KSPLICE_MEETING_OVER);
	return ret;
}

/* With the text locked: one processor does what meeting->lead says while all others stand still. */
int ksplice_stop_machine(struct ksplice_meeting *meeting)
{
	meeting->leader = cpumask_first(cpu_online_mask);
	meeting->followers = num_online_cpus() - 1;
	meeting->step = 0;
	atomic_set(&meeting->arrived, 0);
	return stop_machine_cpuslocked(ksplice_stopped, meeting, cpu_online_mask);
}

/* All but the first byte. Nobody runs it, so it need not be written whole. */
static void ksplice_write_rest(const struct ksplice_poke *poke)
{
	unsigned int at;

	WRITE_ONCE(*(u32 *)(poke->alias + 1), *(const u32 *)(poke->to + 1));
	for (at = KSPLICE_JUMP_SIZE; at < poke->body->jump_size; at++)
		WRITE_ONCE(poke->alias[at], poke->to[at]);
}

/* Under stop_machine: all but the last step. Who calls one of the functions comes to the new body. */
void ksplice_begin_pokes(const struct ksplice_pokes *pokes, struct ksplice_meeting *meeting)
{
	unsigned int i;

	if (!pokes->nr)
		return;
	smp_store_release(&ksplice_poking, pokes);
	for (i = 0; i < pokes->nr; i++)
		WRITE_ONCE(pokes->list[i].alias[0], KSPLICE_INT3);
	ksplice_meet(meeting);
	for (i = 0; i < pokes->nr; i++)
		ksplice_write_rest(&pokes->list[i]);
	ksplice_meet(meeting);
}

/* The last step: the functions are whole. */
void ksplice_end_pokes(const struct ksplice_pokes *pokes, struct ksplice_meeting *meeting)
{
	unsigned int i;

	if (!pokes->nr)
		return;
	for (i = 0; i < pokes->nr; i++)
		WRITE_ONCE(pokes->list[i].alias[0], pokes->list[i].to[0]);
	ksplice_meet(meeting);
	WRITE_ONCE(ksplice_poking, NULL);
}
