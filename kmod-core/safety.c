// SPDX-License-Identifier: GPL-2.0
/*
 * Safety: is any task in code that is about to be replaced, or freed?
 *
 * The stack of every task is walked with the kernel's reliable unwinder and each return address is
 * looked up in the ranges of ranges.c. A frame in a range, or a stack that cannot be walked to its
 * end, means: not now.
 *
 * The decision is made under stop_machine, where no task runs but the stoppers. To keep that short
 * most of the walking is done before, in ksplice_scan(): for each task that does not run, it keeps
 * how often the task has been switched out (nvcsw + nivcsw). Whoever has run in between has been
 * switched out once more, so under stop_machine an equal count proves that the stack is the one
 * that was walked. What remains are the tasks that ran in between, those that ran during the scan,
 * and the idle tasks.
 *
 * Not seen: code that was interrupted by the NMI on another CPU that is running just now (it ends
 * on its own, before anything is freed), and tasks that have left the task list in do_exit() (they
 * are waited for by synchronize_rcu_tasks() before anything is freed).
 */
#include <linux/hash.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/sched/task_stack.h>
#include <linux/slab.h>

#include "core.h"

#define KSPLICE_KEPT_FRAMES 24
#define KSPLICE_MAX_BUSY 8

/* A task whose stack was walked and found free while it was switched out for the count-th time. */
struct ksplice_seen {
	const struct task_struct *task;
	u64 start_time;
	unsigned long count;
};

/* Evidence; formatted later, as the finder may have stopped the machine. */
struct ksplice_busy {
	char comm[TASK_COMM_LEN];
	pid_t pid;
	int why;			/* -EBUSY in a range, -EINVAL unreliable, -EDEADLK running */
	const char *name;
	unsigned int nr_frames;
	unsigned long frames[KSPLICE_KEPT_FRAMES];
};

struct ksplice_walk {
	struct ksplice_ranges ranges;
	bool reverse;
	const struct task_struct *leaving;	/* not looked at, see ksplice_forced_out() */
	struct ksplice_seen *seen;	/* hash table, linear probing */
	unsigned long seen_mask;
	unsigned long nr_seen;
	unsigned int nr_tasks;
	unsigned int nr_walked;
	unsigned int nr_busy;
	bool self_busy;			/* the task that scans is one of them */
	struct ksplice_busy busy[KSPLICE_MAX_BUSY];
	/* of the stack that is being walked */
	const struct ksplice_code_range *found;
	unsigned int nr_frames;
	unsigned long frames[KSPLICE_KEPT_FRAMES];
};

/* Room to remember the tasks that there are now. */
static int ksplice_alloc_seen(struct ksplice_walk *walk)
{
	unsigned long nr_tasks = 0;
	struct task_struct *group, *task;

	rcu_read_lock();
	for_each_process_thread(group, task)
		nr_tasks++;
	rcu_read_unlock();
	walk->seen_mask = roundup_pow_of_two(2 * nr_tasks + 128) - 1;
	walk->seen = ksplice_alloc((walk->seen_mask + 1) * sizeof(*walk->seen));
	return walk->seen ? 0 : -ENOMEM;
}

/* Prepares for scans before the update is switched on or off. NULL if there is no memory. */
struct ksplice_walk *ksplice_make_walk(struct ksplice_update *update, bool on)
{
	struct ksplice_walk *walk = ksplice_alloc(sizeof(*walk));

	if (!walk)
		return NULL;
	walk->reverse = !on;
	walk->leaving = update->leaving;
	if (!ksplice_switch_ranges(&walk->ranges, update, on) && !ksplice_alloc_seen(walk))
		return walk;
	ksplice_free_walk(walk);
	return NULL;
}

void ksplice_free_walk(struct ksplice_walk *walk)
{
	if (!walk)
		return;
	ksplice_free_ranges(&walk->ranges);
	kvfree(walk->seen);
	kvfree(walk);
}

static void ksplice_keep_busy(struct ksplice_walk *walk, const struct task_struct *task, int why)
{
	struct ksplice_busy *busy = &walk->busy[walk->nr_busy];

	if (walk->nr_busy == KSPLICE_MAX_BUSY)
		return;
	walk->nr_busy++;
	memcpy(busy->comm, task->comm, TASK_COMM_LEN);
	busy->comm[TASK_COMM_LEN - 1] = 0;
	busy->pid = task->pid;
	busy->why = why;
	busy->name = why == -EBUSY ? walk->found->name : NULL;
	busy->nr_frames = walk->nr_frames;
	memcpy(busy->frames, walk->frames, sizeof(busy->frames));
}

/* Keeps one return address of the stack that is being walked. True ends the walk: in a range. */
static bool ksplice_visit_frame(void *data, unsigned long addr)
{
	struct ksplice_walk *walk = data;

	if (walk->nr_frames < KSPLICE_KEPT_FRAMES)
		walk->frames[walk->nr_frames++] = addr;
	walk->found = ksplice_find_range(&walk->ranges, addr);
	return walk->found;
}

/* 0 if the stack was walked to its end, -EBUSY with walk->found, or -EINVAL if unreliable. */
static int ksplice_walk_stack(struct ksplice_walk *walk, struct task_struct *task)
{
	walk->nr_frames = 0;
	walk->found = NULL;
	return ksplice_unwind(task, ksplice_visit_frame, walk);
}

/* As ksplice_walk_stack(), and keeps evidence. */
static int ksplice_check_task(struct ksplice_walk *walk, struct task_struct *task)
{
	int ret;

	if (task == walk->leaving)
		return 0;
	/* A task without a stack is a zombie. */
	if (!try_get_task_stack(task))
		return 0;
	walk->nr_walked++;
	ret = ksplice_walk_stack(walk, task);
	put_task_stack(task);
	/* A pending restart would call into the module after the switch. */
	if (!ret && walk->reverse && task->restart_block.fn) {
		walk->found = ksplice_find_range(&walk->ranges,
						 (unsigned long)task->restart_block.fn);
		if (walk->found)
			ret = -EBUSY;
	}
	if (ret)
		ksplice_keep_busy(walk, task, ret);
	return ret;
}

static unsigned long ksplice_switch_count(const struct task_struct *task)
{
	return READ_ONCE(task->nvcsw) + READ_ONCE(task->nivcsw);
}

static struct ksplice_seen *ksplice_seen_slot(struct ksplice_walk *walk,
					      const struct task_struct *task)
{
	unsigned long i = hash_ptr(task, 32) & walk->seen_mask;

	while (walk->seen[i].task && walk->seen[i].task != task)
		i = (i + 1) & walk->seen_mask;
	return &walk->seen[i];
}

static void ksplice_remember(struct ksplice_walk *walk, const struct task_struct *task,
			     unsigned long count)
{
	struct ksplice_seen *seen;

	if (2 * walk->nr_seen > walk->seen_mask)
		return;	/* more tasks than there were: the others are walked again */
	seen = ksplice_seen_slot(walk, task);
	if (!seen->task)
		walk->nr_seen++;
	seen->task = task;
	seen->start_time = task->start_boottime;
	seen->count = count;
}

static bool ksplice_remembered(struct ksplice_walk *walk, const struct task_struct *task)
{
	const struct ksplice_seen *seen = ksplice_seen_slot(walk, task);

	return seen->task == task && seen->start_time == task->start_boottime &&
	       seen->count == ksplice_switch_count(task);
}

/* One task of the scan while the machine runs. 0 also for a task whose stack moves: unknown. */
static int ksplice_scan_task(struct ksplice_walk *walk, struct task_struct *task)
{
	unsigned long count = ksplice_switch_count(task);
	unsigned int nr_busy = walk->nr_busy;
	int ret;

	if (task == current) {
		ret = ksplice_check_task(walk, task);
		walk->self_busy = ret == -EBUSY;
		return ret;
	}
	/* Running before, after or in between: each is seen in on_cpu or in the count. The
	 * barriers pair with the full barrier in __schedule(). */
	if (READ_ONCE(task->on_cpu))
		return 0;
	smp_rmb();
	ret = ksplice_check_task(walk, task);
	smp_rmb();
	if (READ_ONCE(task->on_cpu) || ksplice_switch_count(task) != count) {
		walk->nr_busy = nr_busy;
		return 0;
	}
	if (!ret)
		ksplice_remember(walk, task, count);
	return ret;
}

/* 0 if no task that does not run is in the way; else the worst error, with evidence. */
int ksplice_scan(struct ksplice_walk *walk)
{
	struct task_struct *group, *task;
	int ret = 0;

	walk->nr_busy = 0;
	walk->self_busy = false;
	walk->nr_seen = 0;
	memset(walk->seen, 0, (walk->seen_mask + 1) * sizeof(*walk->seen));
	rcu_read_lock();
	for_each_process_thread(group, task) {
		int err = ksplice_scan_task(walk, task);

		if (err && ret != -EBUSY)
			ret = err;
	}
	rcu_read_unlock();
	return ret;
}

/*
 * The same under stop_machine. All other CPUs spin in a stopper, whose callers are those of this
 * one: walking our own stack answers for theirs.
 */
int ksplice_scan_stopped(struct ksplice_walk *walk)
{
	struct task_struct *group, *task;
	int cpu;
	int ret = 0;

	walk->nr_busy = 0;
	walk->nr_tasks = 0;
	walk->nr_walked = 0;
	for_each_process_thread(group, task) {
		walk->nr_tasks++;
		if (task != current && task->on_cpu) {
			if (task->sched_class == current->sched_class)
				continue;
			walk->nr_frames = 0;
			ksplice_keep_busy(walk, task, -EDEADLK);
			return -EDEADLK;
		}
		if (ksplice_remembered(walk, task))
			continue;
		ret = ksplice_check_task(walk, task);
		if (ret)
			return ret;
	}
	for_each_online_cpu(cpu) {
		ret = ksplice_check_task(walk, idle_task(cpu));
		if (ret)
			return ret;
	}
	return 0;
}

/* True if the last scan found its own task in the way: waiting will not help. */
bool ksplice_self_busy(const struct ksplice_walk *walk)
{
	return walk->self_busy;
}

void ksplice_walk_counts(const struct ksplice_walk *walk, unsigned int *tasks,
			 unsigned int *walked)
{
	*tasks = walk->nr_tasks;
	*walked = walk->nr_walked;
}

static void ksplice_describe_busy(const struct ksplice_busy *busy, char *buf, size_t size)
{
	if (busy->why == -EBUSY)
		snprintf(buf, size, "task %s pid %d is in %s", busy->comm, busy->pid, busy->name);
	else if (busy->why == -EDEADLK)
		snprintf(buf, size, "task %s pid %d runs while the machine is stopped", busy->comm,
			 busy->pid);
	else
		snprintf(buf, size, "task %s pid %d has a stack that cannot be walked", busy->comm,
			 busy->pid);
}

/* Writes the evidence of the last scan down and aborts; ret is what that scan returned. */
int ksplice_report_busy(struct ksplice_update *update, struct ksplice_walk *walk, int ret)
{
	char text[KSYM_NAME_LEN + 64] = "tasks are in the way";
	unsigned int i, j;

	for (i = 0; i < walk->nr_busy; i++) {
		ksplice_describe_busy(&walk->busy[i], text, sizeof(text));
		ksplice_note(update, "%s\n", text);
		for (j = 0; j < walk->busy[i].nr_frames; j++)
			ksplice_note(update, "  %pS\n", (void *)walk->busy[i].frames[j]);
	}
	if (walk->nr_busy)
		ksplice_describe_busy(&walk->busy[0], text, sizeof(text));
	return ksplice_abort(update, ret == -EDEADLK ? KSPLICE_UNEXPECTED_RUNNING_TASK :
						       KSPLICE_CODE_BUSY, "%s", text);
}

/*
 * The tasks that are in the old code of an applied update, which --allow-busy let them be: one line
 * each, of the first few. Those that run just now are not looked at.
 */
int ksplice_list_old(struct ksplice_update *update, char *buf)
{
	char text[KSYM_NAME_LEN + 64];
	struct ksplice_walk *walk;
	unsigned int i;
	int len = 0;

	if (!update->allow_busy || !*update->allow_busy || update->stage != KSPLICE_APPLIED)
		return 0;
	walk = ksplice_alloc(sizeof(*walk));
	if (!walk)
		return -ENOMEM;
	if (ksplice_old_ranges(&walk->ranges, update) || ksplice_alloc_seen(walk)) {
		ksplice_free_walk(walk);
		return -ENOMEM;
	}
	ksplice_scan(walk);
	for (i = 0; i < walk->nr_busy; i++) {
		if (walk->busy[i].why != -EBUSY)
			continue;
		ksplice_describe_busy(&walk->busy[i], text, sizeof(text));
		len += sysfs_emit_at(buf, len, "%s\n", text);
	}
	ksplice_free_walk(walk);
	return len;
}
