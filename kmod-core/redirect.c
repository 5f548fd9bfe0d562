// SPDX-License-Identifier: GPL-2.0
/*
 * Redirection: sends the calls of a function in the running kernel to its new body.
 *
 * A function starts with a call or a nop that ftrace owns (its site), or is bare, and gets a jump at
 * its entry or nothing (choose.c). The functions of an update in one target form a batch: one ftrace_ops
 * that covers all of their sites, with a hash table from site to body. ftrace calls ksplice_handler()
 * at each of these sites, and the handler sets the address at which the task goes on.
 *
 * One ops for a batch, rather than one per function: arming 500 functions is one call and disarming
 * them waits for one grace period. Rather than a single ops for the whole core: a registered ops can
 * be given further functions, but then ftrace does not ask the BPF trampolines that are already on
 * these functions to share them (prepare_direct_functions_for_ipmodify() runs only when an ops is
 * registered), and a BPF fexit program would go on calling the old body.
 *
 *	tcp_v4_rcv:  call trampoline -> ksplice_handler(ip)
 *	                                  slot of ip -> body of update B (off) -> body of update A (on)
 *	             <- continues at A's tcp_v4_rcv, whose own site is an ordinary one
 *
 * A function that already has a site in an older batch gets no second one: the new body goes on top
 * of that slot's stack. ftrace allows one owner that changes the instruction pointer per site, so
 * nobody else can redirect the function while we have it, and a foreign owner makes arming fail.
 *
 * Lifetime: the handler takes no lock and may be preempted. A batch is switched off (under
 * stop_machine) and unlinked from foreign slots before it is freed, and between that and the
 * freeing stand synchronize_rcu_tasks_rude(), for handlers that run where RCU does not watch or in
 * NMIs, and synchronize_rcu_tasks(), for tasks that were preempted inside a trampoline.
 * unregister_ftrace_function() does both for its own ops.
 *
 * A task that was preempted between the handler's decision and the jump cannot go unnoticed by
 * safety.c: its stack holds the return address of the site's call, which lies in the function, or
 * the address of the body that was chosen.
 */
#include <linux/delay.h>
#include <linux/kallsyms.h>
#include <linux/kprobes.h>
#include <linux/log2.h>
#include <linux/percpu.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>

#include "core.h"

/* Linux 6.2 renamed ftrace_instruction_pointer_set() to this. */
#ifndef ftrace_regs_set_instruction_pointer
#define ftrace_regs_set_instruction_pointer ftrace_instruction_pointer_set
#endif

#ifdef CONFIG_DYNAMIC_FTRACE_WITH_ARGS
#define KSPLICE_OPS_FLAGS (FTRACE_OPS_FL_IPMODIFY | FTRACE_OPS_FL_PERMANENT)
#else
#define KSPLICE_OPS_FLAGS \
	(FTRACE_OPS_FL_IPMODIFY | FTRACE_OPS_FL_PERMANENT | FTRACE_OPS_FL_SAVE_REGS)
#endif

bool ksplice_ftrace_dead;		/* it did not let go of a batch of ours */

/* Functions are aligned to 16 bytes in the kernels that we know: the low bits tell nothing. */
static __always_inline unsigned long ksplice_hash(unsigned long ip)
{
	return ip >> 4;
}

/*
 * No recursion guard: nothing here can be traced or probed. No barrier: "active" changes only while
 * all CPUs are in stop_machine, and bodies are published with release.
 */
static void notrace ksplice_handler(unsigned long ip, unsigned long parent_ip,
				    struct ftrace_ops *ops, struct ftrace_regs *fregs)
{
	const struct ksplice_batch *batch = container_of(ops, struct ksplice_batch, ops);
	const struct ksplice_slot *slots = batch->slots;
	const struct ksplice_body *body;
	unsigned long i = ksplice_hash(ip) & batch->mask;

	while (slots[i].ip != ip) {
		if (!slots[i].ip)
			return;
		i = (i + 1) & batch->mask;
	}
	for (body = READ_ONCE(slots[i].top); body; body = body->below) {
		if (!READ_ONCE(*body->active))
			continue;
		if (body->calls)
			raw_cpu_inc(*body->calls);
		ftrace_regs_set_instruction_pointer(fregs, body->new_addr);
		return;
	}
}
NOKPROBE_SYMBOL(ksplice_handler);

/* The slot with this site in one batch; with free set, the slot where it would go. */
static struct ksplice_slot *ksplice_probe(const struct ksplice_batch *batch, unsigned long ip,
					  bool free)
{
	unsigned long i = ksplice_hash(ip) & batch->mask;

	while (batch->slots[i].ip && batch->slots[i].ip != ip)
		i = (i + 1) & batch->mask;
	if (!batch->slots[i].ip && !free)
		return NULL;
	return &batch->slots[i];
}

/* The body of an armed batch that starts at addr: updates on top of updates. */
static struct ksplice_body *ksplice_body_at(unsigned long addr)
{
	struct ksplice_batch *batch;
	unsigned int i;

	list_for_each_entry(batch, &ksplice_batches, all) {
		for (i = 0; i < batch->nr_bodies; i++) {
			struct ksplice_body *body = &batch->bodies[i];

			if (body->new_addr == addr)
				return body;
		}
	}
	return NULL;
}

static struct ksplice_slot *ksplice_slot_of_site(unsigned long ip)
{
	struct ksplice_batch *batch;

	list_for_each_entry(batch, &ksplice_batches, all) {
		struct ksplice_slot *slot = ksplice_probe(batch, ip, false);

		if (slot)
			return slot;
	}
	return NULL;
}

/* The slot of the batch with this site, or NULL. */
struct ksplice_slot *ksplice_find_slot(const struct ksplice_batch *batch, unsigned long ip)
{
	return ksplice_probe(batch, ip, false);
}

static bool ksplice_has_slot(const struct ksplice_batch *batch, const struct ksplice_slot *slot)
{
	unsigned int i;

	for (i = 0; i < batch->nr_bodies; i++)
		if (batch->bodies[i].slot == slot)
			return true;
	return false;
}

static int ksplice_add_body(struct ksplice_batch *batch, const struct ksplice_function *function)
{
	struct ksplice_update *update = batch->update;
	struct ksplice_body *body = &batch->bodies[batch->nr_bodies];
	unsigned long addr = ksplice_function_run(function)->addr;
	struct ksplice_body *replaced = ksplice_body_at(addr);
	struct ksplice_slot *slot = replaced ? replaced->slot : NULL;
	unsigned long ip, site = 0;

	if (!slot) {
		site = ksplice_site(addr);
		ip = site ?: ksplice_entry(ksplice_function_run(function));
		slot = ksplice_slot_of_site(ip);
	}
	/* What runs is the newest body. Is it the one that the proof is about? */
	if (slot && slot->top != replaced)
		return ksplice_abort(update, KSPLICE_CONFLICT,
				     "function %s is replaced by update %s already, and this update was not made on top of it",
				     ksplice_str(function->name), slot->top->batch->update->id);
	if (!slot) {
		slot = ksplice_probe(batch, ip, true);
		slot->ip = ip;
		slot->bare = !site;
	}
	if (ksplice_has_slot(batch, slot))
		return ksplice_abort(update, KSPLICE_UNEXPECTED,
				     "function %s is replaced twice in this update",
				     ksplice_str(function->name));

	body->new_addr = function->new_addr;
	body->new_size = function->new_size;
	body->active = &batch->active;
	body->function = function;
	body->batch = batch;
	body->slot = slot;
	body->below = slot->top;
	if (!body->below)
		slot->bottom = body;
	batch->nr_bodies++;
	return 0;
}

void ksplice_free_batch(struct ksplice_batch *batch)
{
	unsigned int i;

	for (i = 0; i < batch->nr_bodies; i++)
		ksplice_free_counter(batch->bodies[i].calls);
	kvfree(batch->bodies);
	kvfree(batch->slots);
	kvfree(batch->ips);
	kfree(batch);
}

static struct ksplice_batch *ksplice_alloc_batch(unsigned int nr)
{
	struct ksplice_batch *batch = ksplice_alloc(sizeof(*batch));
	unsigned long nr_slots = roundup_pow_of_two(2 * nr + 2);

	if (!batch)
		return NULL;
	INIT_LIST_HEAD(&batch->all);
	INIT_LIST_HEAD(&batch->list);
	batch->mask = nr_slots - 1;
	batch->slots = ksplice_alloc(nr_slots * sizeof(*batch->slots));
	batch->bodies = ksplice_alloc((nr + 1) * sizeof(*batch->bodies));
	batch->ips = ksplice_alloc((nr + 1) * sizeof(*batch->ips));
	if (!batch->slots || !batch->bodies || !batch->ips) {
		ksplice_free_batch(batch);
		return NULL;
	}
	batch->ops.func = ksplice_handler;
	batch->ops.flags = KSPLICE_OPS_FLAGS;
	return batch;
}

/*
 * Makes the batch of a member; nothing is visible to ftrace or the handler afterwards. Returns an ERR_PTR
 * after ksplice_abort().
 */
struct ksplice_batch *ksplice_make_batch(struct ksplice_member *member)
{
	struct ksplice_batch *batch = ksplice_alloc_batch(member->object->nr_functions);
	unsigned int i;
	int ret;

	if (!batch)
		return ERR_PTR(ksplice_abort(member->update, KSPLICE_OUT_OF_MEMORY,
					     "no memory for the redirections"));
	batch->update = member->update;
	batch->member = member;
	batch->fresh = true;
	for (i = 0; i < member->object->nr_functions; i++) {
		ret = ksplice_add_body(batch, &ksplice_functions(member->object)[i]);
		if (ret) {
			ksplice_free_batch(batch);
			return ERR_PTR(ret);
		}
	}
	return batch;
}

/* What the owner of a site is, from the function that its ops calls. */
void ksplice_describe_ops(const struct ftrace_ops *ops, char *buf, size_t size)
{
	snprintf(buf, size, "%ps", ops->func);
	if (!strncmp(buf, "klp_ftrace_handler", 18))
		strscpy(buf, "livepatch", size);
	else if (!strncmp(buf, "kprobe_ftrace_handler", 21))
		strscpy(buf, "a kprobe with a post_handler", size);
}

static bool ksplice_ops_owns(const struct ftrace_ops *ops, unsigned long ip)
{
	struct ftrace_hash *hash;

	if (!(ops->flags & FTRACE_OPS_FL_IPMODIFY) || !(ops->flags & FTRACE_OPS_FL_ENABLED) ||
	    !ops->func_hash)
		return false;
	hash = rcu_dereference_raw(ops->func_hash->filter_hash);
	return hash && ftrace_lookup_ip(hash, ip);
}

/* Does somebody else redirect the function with this site? Who is written to owner. */
static bool ksplice_describe_owner(unsigned long ip, char *owner, size_t size)
{
	struct ftrace_ops *ops;
	bool found = false;

	preempt_disable();
	for (ops = rcu_dereference_raw(ftrace_ops_list); ops && !found;
	     ops = rcu_dereference_raw(ops->next)) {
		found = ops->func != ksplice_handler && ksplice_ops_owns(ops, ip);
		if (found)
			ksplice_describe_ops(ops, owner, size);
	}
	preempt_enable();
	return found;
}

/* The same for a body of ours: a kprobe that may redirect calls goes on to a jump. */
bool ksplice_describe_rival(const struct ksplice_body *body, char *owner, size_t size)
{
	return ksplice_describe_owner(body->slot->ip, owner, size) &&
	       !(body->jump_size && !strncmp(owner, "a kprobe", 8));
}

/* Aborts with "conflict" if somebody else already redirects one of the functions. */
int ksplice_find_owner(struct ksplice_update *update, struct ksplice_batch *batch)
{
	const struct ksplice_body *conflict = NULL;
	unsigned int nr_found = 0;
	char owner[KSYM_NAME_LEN];
	unsigned int i;

	for (i = 0; i < batch->nr_bodies; i++) {
		const struct ksplice_body *body = &batch->bodies[i];

		if (!body->jump_size && ksplice_probe(batch, body->slot->ip, false) != body->slot)
			continue;	/* an older batch of ours has the site */
		if (!ksplice_describe_rival(body, owner, sizeof(owner)))
			continue;
		ksplice_note(update, "function %s is redirected by %s\n",
			     ksplice_str(body->function->name), owner);
		conflict = body;
		nr_found++;
	}
	if (!conflict)
		return 0;
	return ksplice_abort(update, KSPLICE_CONFLICT,
			     "%u function(s) are redirected by someone else, %s by %s", nr_found,
			     ksplice_str(conflict->function->name), owner);
}

static int ksplice_register_ops(struct ksplice_batch *batch)
{
	int tries;
	int ret;

	if (!batch->nr_ips)
		return 0;	/* an empty filter would mean every function */
	ret = ksplice_alloc_fails() ? -ENOMEM :
	      ftrace_set_filter_ips(&batch->ops, batch->ips, batch->nr_ips, 0, 1);
	if (ret)
		return ret;
	/* A BPF trampoline that is being changed answers -EAGAIN. */
	for (tries = 0; tries < 20; tries++) {
		ret = ksplice_alloc_fails() ? -ENOMEM : register_ftrace_function(&batch->ops);
		if (ret != -EAGAIN)
			break;
		msleep(20);
	}
	batch->registered = !ret;
	return ret;
}

/* Makes ftrace call the handler for all functions of the batch, which is still switched off. */
int ksplice_arm(struct ksplice_batch *batch)
{
	struct ksplice_update *update = batch->update;
	unsigned int i;
	int ret;

	for (i = 0; i < batch->nr_bodies; i++) {
		struct ksplice_body *body = &batch->bodies[i];

		/* Pairs with the dependent loads of the handler. */
		smp_store_release(&body->slot->top, body);
	}
	batch->linked = true;
	list_add_tail(&batch->all, &ksplice_batches);
	ret = ksplice_register_ops(batch);
	if (!ret)
		return 0;
	if (ret == -EBUSY && ksplice_find_owner(update, batch))
		return ret;
	if (ret == -EBUSY)
		return ksplice_abort(update, KSPLICE_FTRACE_OFF,
				     "ftrace takes no permanent user (-EBUSY): kernel.ftrace_enabled is 0, or a direct caller refuses to share a function");
	if (ret == -ENODEV)
		return ksplice_abort(update, KSPLICE_FTRACE_OFF,
				     "ftrace has been shut down, as the kernel log says");
	if (ret == -ENOMEM)
		return ksplice_abort(update, KSPLICE_OUT_OF_MEMORY, "no memory in ftrace");
	return ksplice_abort(update, KSPLICE_UNEXPECTED, "ftrace refuses the functions: %d", ret);
}

/*
 * Unlinks and disarms a batch that is switched off; also one that was armed in part. Before it is freed,
 * handlers that still look at it must have ended (ksplice_release()). False if ftrace keeps it: then
 * its modules must stay for ever.
 */
bool ksplice_disarm(struct ksplice_batch *batch)
{
	unsigned int i;

	WARN_ON_ONCE(batch->active);
	for (i = 0; batch->linked && i < batch->nr_bodies; i++) {
		struct ksplice_body *body = &batch->bodies[i];

		if (WARN_ON_ONCE(body->slot->top != body))
			continue;
		if (ksplice_probe(batch, body->slot->ip, false) != body->slot)
			WRITE_ONCE(body->slot->top, body->below);
	}
	list_del_init(&batch->all);
	if (batch->registered && unregister_ftrace_function(&batch->ops)) {
		/* Only a ftrace that has shut itself down refuses. It may still call us: keep all. */
		pr_err("ksplice: ftrace has been shut down; the modules of update %s stay until the next boot\n",
		       batch->update->id);
		ksplice_ftrace_dead = true;
		__module_get(THIS_MODULE);
		return false;
	}
	if (batch->nr_ips)
		ftrace_free_filter(&batch->ops);
	return true;
}

/* Has upper a body on top of one of lower's bodies? */
bool ksplice_covers(const struct ksplice_update *upper, const struct ksplice_update *lower)
{
	const struct ksplice_batch *batch;
	unsigned int i;

	list_for_each_entry(batch, &upper->batches, list) {
		for (i = 0; i < batch->nr_bodies; i++) {
			const struct ksplice_body *body = batch->bodies[i].below;

			for (; body; body = body->below)
				if (body->batch->update == lower)
					return true;
		}
	}
	return false;
}

u64 ksplice_calls(const struct ksplice_body *body)
{
	u64 sum = 0;
	int cpu;

	if (!body->calls)
		return 0;
	for_each_possible_cpu(cpu)
		sum += *per_cpu_ptr(body->calls, cpu);
	return sum;
}
