/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The parts of ksplice.ko, in the order of their files: a file calls and knows only those that are
 * declared before it (the order of Kbuild, too; tests/tools/core_layers.sh looks). Below is what
 * everybody needs: memory, the state of the updates, the tables of their objects, the processor. In
 * the middle are the phases of an operation, each with its own undo. On top are the operations, the
 * files in /sys/kernel/ksplice, and the coming and going of update modules.
 *
 * An update (struct ksplice_update, found by id) has one member per update module. Applying takes
 * all members that are not applied yet, checks them (object.c at registration, verify.c now), makes
 * a batch of redirections for each (redirect.c; choose.c says which are jumps), arms what is not a
 * jump while it is switched off, and switches them on together when no task is in the code that is replaced
 * (safety.c decides, switch.c stops the machine, jump.c writes the jumps in that instant). Reversing
 * switches all batches of the update off in the same way, then disarms and frees them. A target that is
 * unloaded takes its batches along (ksplice_let_go()). A
 * member of which an address may be in live memory (object->kept) stays pinned, with its target and
 * the updates on which it stands: it can be applied again, and never be unloaded.
 *
 * Locks: ksplice_mutex guards everything here: the list of updates, their members, batches and
 * sites. Exempt are the ftrace handler, which reads a batch's slots and bodies without any lock (see
 * redirect.c for how they are freed), and the code under stop_machine, which runs while the holder
 * of the mutex waits for it. The coming of a module must not wait for an operation, of which a hook may
 * load one: what it looks at (the list of updates, the names of the targets that they wait for, what is
 * being loaded) changes under ksplice_late_lock as well.
 */
#ifndef KSPLICE_CORE_H
#define KSPLICE_CORE_H

#include <linux/completion.h>
#include <linux/ftrace.h>
#include <linux/kobject.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/version.h>
#include <linux/workqueue.h>

#include "ksplice_abi.h"

struct ksplice_update;
struct ksplice_batch;
struct ksplice_walk;

enum ksplice_stage {
	KSPLICE_PREPARING,
	KSPLICE_APPLIED,
	KSPLICE_REVERSED,
};

/* Abort codes; the words and their meaning are in ksplice_causes[] in state.c. */
enum ksplice_cause {
	KSPLICE_OK,
	KSPLICE_NO_MATCH,
	KSPLICE_CODE_BUSY,
	KSPLICE_MODULE_BUSY,
	KSPLICE_OUT_OF_MEMORY,
	KSPLICE_NO_FTRACE_SITE,
	KSPLICE_ALREADY_REVERSED,
	KSPLICE_UNEXPECTED_RUNNING_TASK,
	KSPLICE_UNEXPECTED,
	KSPLICE_TARGET_NOT_LOADED,
	KSPLICE_CALL_FAILED,
	KSPLICE_CONFLICT,
	KSPLICE_FTRACE_OFF,
	KSPLICE_INTERRUPTED,
	KSPLICE_NR_CAUSES
};

/* One registered update module. */
struct ksplice_member {
	struct list_head list;		/* in update->members, in order of registration */
	struct ksplice_update *update;
	const struct ksplice_object *object;
	struct module *module;		/* the update module; pinned while applied */
	struct module *target;		/* while applied; NULL for vmlinux */
	bool holds_target;		/* it cannot be unloaded */
	struct list_head targeted;	/* in ksplice_targeted, while there is a target */
	u32 nr_pinned;			/* of the object's needs: pinned while applied */
	struct ksplice_batch *batch;	/* not NULL while armed */
	u64 **places;			/* writable aliases of the object's places */
	bool stays;			/* reversed, and pinned for ever: its memory may be used */
	bool hooked;			/* its first hooks of this operation have been called */
};

/* A target of an applied update that is being loaded. See late.c. */
struct ksplice_coming {
	struct list_head list;		/* in ksplice_comings */
	struct kref ref;
	struct module *module;
	char name[MODULE_NAME_LEN];	/* for the time after it */
	struct task_struct *task;	/* that loads it */
	int (*init)(void);		/* its own */
	struct work_struct work;	/* asks user space for the update module */
	struct completion answered;
	int answer;
	bool alone;			/* nobody waits for the answer */
};

#define KSPLICE_JUMP_SIZE 5
#define KSPLICE_MAX_JUMP 20		/* and the rest of the last instruction that it covers */

/* A new body for a site; lives as long as its batch. */
struct ksplice_body {
	unsigned long new_addr;
	const bool *active;		/* the switch of its batch */
	u64 __percpu *calls;		/* NULL if calls were never counted */
	bool counted;			/* the jump leads over the counter of the function */
	struct ksplice_body *below;	/* the body of an earlier update on the same site */
	unsigned long new_size;
	unsigned int jump_size;		/* of the code that a jump replaces; 0: on the handler */
	const char *why;		/* it is on the handler */
	u8 before[KSPLICE_MAX_JUMP];	/* what is there without this body, and with it */
	u8 after[KSPLICE_MAX_JUMP];
	const struct ksplice_function *function;
	struct ksplice_slot *slot;
	struct ksplice_batch *batch;
};

/* A function of the running kernel that is replaced; entry of the hash table of a batch. */
struct ksplice_slot {
	unsigned long ip;		/* the ftrace site; 0: free slot */
	bool bare;			/* no site: ip is where the jump goes, at the entry */
	struct ksplice_body *top;	/* the newest body */
	struct ksplice_body *bottom;	/* the oldest one */
};

/* The redirections of a member, under one ftrace_ops. */
struct ksplice_batch {
	struct ftrace_ops ops;
	struct ksplice_slot *slots;	/* mask + 1 of them, hashed by ip, linear probing */
	unsigned long mask;
	bool active;			/* written only under stop_machine */
	bool fresh;			/* it is being applied */
	bool registered;
	bool linked;
	struct list_head list;		/* in update->batches */
	struct list_head all;		/* in ksplice_batches */
	struct ksplice_update *update;
	struct ksplice_member *member;
	struct ksplice_body *bodies;
	unsigned int nr_bodies;
	unsigned long *ips;		/* of the sites that this batch owns and the handler redirects */
	unsigned int nr_ips;
	unsigned int nr_jumps;		/* bodies that are reached by a jump */
};

/* Text for people, kept from the last operation; cut off at its size. */
struct ksplice_text {
	char *buf;
	size_t len;
	size_t size;
};

struct ksplice_update {
	struct kobject kobj;
	struct list_head list;		/* in ksplice_updates */
	bool gone;			/* no longer in ksplice_updates; sysfs answers -ENODEV */
	const char *id;			/* copies: files may be read while the module leaves */
	char *description;
	struct list_head members;
	struct list_head batches;
	unsigned int nr_members;
	unsigned int nr_objects;
	enum ksplice_stage stage;
	enum ksplice_cause cause;
	char message[256];
	struct ksplice_text conflicts;
	unsigned int order;		/* n-th update applied since the core was loaded */
	/* settings, written through sysfs before an operation */
	unsigned int attempts;
	unsigned int timeout_ms;
	bool partial;
	bool settle;			/* redirect by jumps where that can be done */
	bool count_calls;		/* those that a jump redirects, too */
	char *skipped;			/* names of targets that --partial left out, until they come */
	const struct ksplice_batch *only;	/* is switched off alone; NULL: all of them */
	char *allow_busy;		/* names of functions whose old body may stay on stacks */
	struct task_struct *leaving;	/* unloads a module of the update by force */
	/* an operation that goes on after the write that asked for it; see worker.c */
	struct work_struct work;
	enum ksplice_stage wanted;
	bool working;
	/* results of the last switch */
	u64 pause_ns;
	u64 stop_ns;
	unsigned int tries;
	unsigned int tasks;
	unsigned int walked;
};

/* memory.c */
bool ksplice_alloc_fails(void);
void *ksplice_alloc(size_t size);
u64 __percpu *ksplice_alloc_counter(bool near);
void ksplice_free_counter(u64 __percpu *counter);
char *ksplice_copy_string(const char *text);

/* state.c */
extern struct mutex ksplice_mutex;
extern struct list_head ksplice_updates;
extern struct list_head ksplice_batches;
extern struct list_head ksplice_orphans;
extern struct list_head ksplice_comings;
extern struct list_head ksplice_targeted;
extern raw_spinlock_t ksplice_late_lock;
const char *ksplice_cause_word(enum ksplice_cause cause);
const char *ksplice_stage_word(enum ksplice_stage stage);
struct ksplice_update *ksplice_find_update(const char *id);
__printf(3, 4) int ksplice_abort(struct ksplice_update *update, enum ksplice_cause cause,
				 const char *fmt, ...);
__printf(2, 3) void ksplice_note(struct ksplice_update *update, const char *fmt, ...);
void ksplice_begin(struct ksplice_update *update);
bool ksplice_listed(const char *names, const char *name);
bool ksplice_stays(const struct ksplice_update *update);
bool ksplice_is_coming(const struct module *module);
bool ksplice_is_patched(const struct module *module);

/* Does it belong to what ksplice_switch() switches on, or off? */
static inline bool ksplice_takes_part(const struct ksplice_batch *batch, bool on)
{
	return on ? batch->fresh : !batch->update->only || batch->update->only == batch;
}

/* Its target goes: nothing can be in the way, as it will be freed, but somebody may still call it. */
static inline bool ksplice_loses_target(const struct ksplice_batch *batch)
{
	return batch->update->only == batch;
}

/* object.c: checks on the tables of an update object, and the typed view of them */
int ksplice_check_object(const struct ksplice_object *object, const struct module *module);
bool ksplice_within(const struct module *module, unsigned long addr, unsigned long size);
bool ksplice_text_range(const struct module *module, unsigned long *start, unsigned long *end);
bool ksplice_within_text(const struct module *module, unsigned long addr, unsigned long size);

static inline const char *ksplice_str(__u64 addr)
{
	return (const char *)(unsigned long)addr;
}

static inline const struct ksplice_run *ksplice_runs(const struct ksplice_object *object)
{
	return (const struct ksplice_run *)(unsigned long)object->runs;
}

static inline const struct ksplice_function *ksplice_functions(const struct ksplice_object *object)
{
	return (const struct ksplice_function *)(unsigned long)object->functions;
}

static inline const struct ksplice_need *ksplice_needs(const struct ksplice_object *object)
{
	return (const struct ksplice_need *)(unsigned long)object->needs;
}

static inline const struct ksplice_place *ksplice_places(const struct ksplice_object *object)
{
	return (const struct ksplice_place *)(unsigned long)object->places;
}

static inline const struct ksplice_callee *ksplice_callees(const struct ksplice_object *object)
{
	return (const struct ksplice_callee *)(unsigned long)object->callees;
}

static inline const struct ksplice_unit *ksplice_units(const struct ksplice_object *object)
{
	return (const struct ksplice_unit *)(unsigned long)object->units;
}

static inline struct module *ksplice_need_module(const struct ksplice_need *need)
{
	return (struct module *)(unsigned long)need->module;
}

static inline const struct ksplice_run *ksplice_function_run(const struct ksplice_function *function)
{
	return (const struct ksplice_run *)(unsigned long)function->run;
}

/* x86.c */
void ksplice_undo_kprobes(u8 *live, unsigned long addr, u32 size);
bool ksplice_has_kprobe(unsigned long addr, u32 size);
bool ksplice_in_image(unsigned long addr);
unsigned long ksplice_site(unsigned long addr);
unsigned long ksplice_entry(const struct ksplice_run *run);
bool ksplice_is_noinstr(unsigned long addr, const struct module *module);
int ksplice_unwind(struct task_struct *task, bool (*visit)(void *data, unsigned long addr),
		   void *data);

/* x86_text.c */
unsigned int ksplice_match_code(const u8 *live, const u8 *bytes, unsigned int n,
				unsigned long addr);
int ksplice_match_range(const struct ksplice_range *range, unsigned long addr, const u8 *live);

/* pin.c */
int ksplice_pin_members(struct ksplice_update *update);
void ksplice_unpin(struct ksplice_member *member);
void ksplice_release_target(struct ksplice_member *member);
void ksplice_settle_targets(struct ksplice_update *update);
void ksplice_unpin_members(struct ksplice_update *update);
const struct ksplice_update *ksplice_staying_user(const struct ksplice_member *member,
						  unsigned int *nr);

/* jump.c */
struct ksplice_pokes;

/* One processor leads, the others follow, while the machine is stopped. */
struct ksplice_meeting {
	int (*lead)(struct ksplice_meeting *meeting);
	int leader;
	int followers;
	int step;
	atomic_t arrived;
};

int ksplice_jump_init(void);
void ksplice_jump_exit(void);
void ksplice_undo_jumps(u8 *live, unsigned long addr, u32 size);
bool ksplice_make_jump(const struct ksplice_body *body, bool counted, u8 *code);
struct ksplice_pokes *ksplice_alloc_pokes(unsigned int nr);
void ksplice_add_poke(struct ksplice_pokes *pokes, const struct ksplice_body *body, const u8 *from,
		      const u8 *to);
struct ksplice_pokes *ksplice_ready_pokes(struct ksplice_pokes *pokes);
struct ksplice_pokes *ksplice_make_pokes(const struct ksplice_update *update, bool on);
void ksplice_free_pokes(struct ksplice_pokes *pokes);
void ksplice_lock_text(void);
void ksplice_unlock_text(void);
const struct ksplice_body *ksplice_wrong_poke(const struct ksplice_pokes *pokes);
struct insn;
unsigned long ksplice_branch_target(const struct insn *insn, unsigned long addr);
void ksplice_skip_wrong_pokes(struct ksplice_pokes *pokes);
int ksplice_report_poke(struct ksplice_update *update, const struct ksplice_body *body);
void ksplice_begin_pokes(const struct ksplice_pokes *pokes, struct ksplice_meeting *meeting);
void ksplice_end_pokes(const struct ksplice_pokes *pokes, struct ksplice_meeting *meeting);
int ksplice_stop_machine(struct ksplice_meeting *meeting);

/* Where the jump of a body is, if it has one. */
static inline unsigned long ksplice_jump_addr(const struct ksplice_body *body)
{
	return body->slot->ip + (body->slot->bare ? 0 : MCOUNT_INSN_SIZE);
}

/* places.c */
int ksplice_verify_places(struct ksplice_update *update, struct ksplice_member *member);
int ksplice_map_places(struct ksplice_update *update, struct ksplice_member *member);
void ksplice_unmap_places(struct ksplice_member *member);
const struct ksplice_place *ksplice_wrong_place(const struct ksplice_member *member, bool on);
void ksplice_switch_places(struct ksplice_member *member, bool on);
int ksplice_report_place(struct ksplice_update *update, const struct ksplice_place *place,
			   bool on);

/* verify.c */
int ksplice_verify(struct ksplice_update *update, struct ksplice_member *member);

/* redirect.c */
extern bool ksplice_ftrace_dead;
struct ksplice_slot *ksplice_find_slot(const struct ksplice_batch *batch, unsigned long ip);
struct ksplice_batch *ksplice_make_batch(struct ksplice_member *member);
void ksplice_describe_ops(const struct ftrace_ops *ops, char *buf, size_t size);
bool ksplice_describe_rival(const struct ksplice_body *body, char *owner, size_t size);
int ksplice_find_owner(struct ksplice_update *update, struct ksplice_batch *batch);
int ksplice_arm(struct ksplice_batch *batch);
bool ksplice_disarm(struct ksplice_batch *batch);
void ksplice_free_batch(struct ksplice_batch *batch);
bool ksplice_covers(const struct ksplice_update *upper, const struct ksplice_update *lower);
u64 ksplice_calls(const struct ksplice_body *body);

/* count.c */
int ksplice_make_counter(struct ksplice_update *update, struct ksplice_body *body);
int ksplice_count(struct ksplice_update *update, bool on);

/* choose.c */
bool ksplice_sleeps_offline(const struct ksplice_body *body);
int ksplice_choose(struct ksplice_update *update, struct ksplice_batch *batch);

/* independent.c */
int ksplice_check_independent(struct ksplice_update *update);

/* probes.c */
void ksplice_note_tracers(struct ksplice_update *update, const struct module *module, char *first,
			  size_t size);

/* ranges.c */
/* Both ends are in the range: the return address of a call at the very end is the end. */
struct ksplice_code_range {
	unsigned long start;
	unsigned long end;
	const char *name;
};

struct ksplice_ranges {
	struct ksplice_code_range *list;
	unsigned int nr;
};

int ksplice_switch_ranges(struct ksplice_ranges *ranges, struct ksplice_update *update, bool on);
int ksplice_old_ranges(struct ksplice_ranges *ranges, struct ksplice_update *update);
void ksplice_free_ranges(struct ksplice_ranges *ranges);
const struct ksplice_code_range *ksplice_find_range(const struct ksplice_ranges *ranges,
						    unsigned long addr);

/* safety.c */
struct ksplice_walk *ksplice_make_walk(struct ksplice_update *update, bool on);
void ksplice_free_walk(struct ksplice_walk *walk);
int ksplice_scan(struct ksplice_walk *walk);
int ksplice_scan_stopped(struct ksplice_walk *walk);
int ksplice_report_busy(struct ksplice_update *update, struct ksplice_walk *walk, int ret);
int ksplice_list_old(struct ksplice_update *update, char *buf);
bool ksplice_self_busy(const struct ksplice_walk *walk);
void ksplice_walk_counts(const struct ksplice_walk *walk, unsigned int *tasks,
			 unsigned int *walked);

/* switch.c */
int ksplice_call_hooks(struct ksplice_update *update, enum ksplice_hook_kind kind);
void ksplice_call_fail_hooks(struct ksplice_update *update, enum ksplice_hook_kind kind);
int ksplice_switch(struct ksplice_update *update, bool on);

/* shadow.c */
void ksplice_shadow_exit(void);

/* helper.c */
int ksplice_helper_init(void);
void ksplice_helper_exit(void);
bool ksplice_late_is_allowed(void);
unsigned long ksplice_late_timeout(void);
int ksplice_not_patched(const char *name, const char *id, const char *why);
const struct ksplice_update *ksplice_without(const char *name);
struct ksplice_coming *ksplice_alloc_coming(const char *name);
void ksplice_put_coming(struct ksplice_coming *coming);
int ksplice_ask_helper(struct ksplice_coming *coming, char *why, size_t size);
void ksplice_patch_running(const char *name, const char *id);
void ksplice_patch_missed(const struct ksplice_update *update);

/* operation.c */
int ksplice_apply(struct ksplice_update *update);
int ksplice_reverse(struct ksplice_update *update);
int ksplice_check(struct ksplice_update *update);
void ksplice_let_go(const struct module *target);

/* worker.c */
void ksplice_work(struct work_struct *work);
int ksplice_operate(struct ksplice_update *update, enum ksplice_stage wanted);
int ksplice_worker_init(void);
void ksplice_worker_exit(void);

/* late.c */
int ksplice_late_init(void);
void ksplice_late_exit(void);

/* functions.c */
char *ksplice_print_functions(const struct ksplice_update *update, size_t *length);

/* sysfs.c */
extern struct kset *ksplice_kset;
int ksplice_sysfs_init(void);
void ksplice_sysfs_exit(void);
extern const struct kobj_type ksplice_update_type;

/* register.c: ksplice_register() and ksplice_unregister() are declared in ksplice_abi.h */

/* Unexported functions of the kernel that have no declaration in its public headers; the rest of
 * core_symbols.txt is declared by the headers. */
struct ftrace_func_entry *ftrace_lookup_ip(struct ftrace_hash *hash, unsigned long ip);
extern struct mutex ftrace_lock, kprobe_mutex;
extern char __noinstr_text_start[], __noinstr_text_end[];
extern char __entry_text_start[], __entry_text_end[];
extern char __cpuidle_text_start[], __cpuidle_text_end[];

#endif
