// SPDX-License-Identifier: GPL-2.0
/*
 * The helper in user space that is asked to finish an update for a module that comes later (late.c says when
 * and why), and what the host wants of a module that it does not patch.
 *
 * Who waits for the answer holds a reference on the request, and the work that runs the helper another one.
 * One that nobody waits for holds the core, as its exit would else wait for a helper that may wait for the
 * very tool that unloads the core.
 */
#include <linux/kmod.h>
#include <linux/moduleparam.h>
#include <linux/umh.h>

#include "core.h"

#define KSPLICE_LATE_TIMEOUT_MS 20000
#define KSPLICE_HELPER_SIZE 256

enum { KSPLICE_LATE_PATCH, KSPLICE_LATE_REFUSE, KSPLICE_LATE_ALLOW };

static const char *const ksplice_late_words[] = { "patch", "refuse", "allow" };
static int ksplice_late;
static unsigned int ksplice_late_timeout_ms = KSPLICE_LATE_TIMEOUT_MS;
static char ksplice_helper[KSPLICE_HELPER_SIZE] = "/usr/sbin/ksplice-apply";
static struct workqueue_struct *ksplice_late_queue;

static int ksplice_set_late(const char *value, const struct kernel_param *kp)
{
	int found = sysfs_match_string(ksplice_late_words, value);

	if (found < 0)
		return found;
	WRITE_ONCE(ksplice_late, found);
	return 0;
}

static int ksplice_get_late(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%s\n", ksplice_late_words[READ_ONCE(ksplice_late)]);
}

static const struct kernel_param_ops ksplice_late_ops = {
	.set = ksplice_set_late,
	.get = ksplice_get_late,
};
module_param_cb(late, &ksplice_late_ops, NULL, 0644);
MODULE_PARM_DESC(late, "targets that come later: patch, refuse (those that cannot be patched), allow");
module_param_named(late_timeout_ms, ksplice_late_timeout_ms, uint, 0644);
MODULE_PARM_DESC(late_timeout_ms, "how long a target that comes later waits to be patched");
module_param_string(helper, ksplice_helper, KSPLICE_HELPER_SIZE, 0600);
MODULE_PARM_DESC(helper, "program that is called with --finish-target=MODULE");

/* Is a module that is not patched loaded without a question? */
bool ksplice_late_is_allowed(void)
{
	return READ_ONCE(ksplice_late) == KSPLICE_LATE_ALLOW;
}

static void ksplice_free_coming(struct kref *ref)
{
	kvfree(container_of(ref, struct ksplice_coming, ref));
}

/* In jiffies. */
unsigned long ksplice_late_timeout(void)
{
	return msecs_to_jiffies(READ_ONCE(ksplice_late_timeout_ms));
}

void ksplice_put_coming(struct ksplice_coming *coming)
{
	kref_put(&coming->ref, ksplice_free_coming);
}

/* What the host wants of a module that is not patched: 0, or the error with which it is not loaded. */
int ksplice_not_patched(const char *name, const char *id, const char *why)
{
	bool refused = READ_ONCE(ksplice_late) == KSPLICE_LATE_REFUSE;

	pr_err("ksplice: module %s is %s, as update %s does not patch it: %s\n", name,
	       refused ? "NOT LOADED" : "loaded UNPATCHED", id, why);
	return refused ? -EPERM : 0;
}

static bool ksplice_has_patched(const struct ksplice_update *update, const char *name)
{
	const struct ksplice_member *member;

	list_for_each_entry(member, &update->members, list)
		if (member->batch && !strcmp(ksplice_str(member->object->target), name))
			return true;
	return false;
}

/* An applied update that waits for it in vain. */
const struct ksplice_update *ksplice_without(const char *name)
{
	const struct ksplice_update *update;

	list_for_each_entry(update, &ksplice_updates, list)
		if (update->stage == KSPLICE_APPLIED && ksplice_listed(update->skipped, name) &&
		    !ksplice_has_patched(update, name))
			return update;
	return NULL;
}

/* What a helper's answer that is not 0 means. */
static void ksplice_say_answer(int answer, char *why, size_t size)
{
	if (answer < 0)
		snprintf(why, size, "the helper cannot be run: error %d", -answer);
	else if (answer & 0x7f)
		snprintf(why, size, "the helper was killed by signal %d", answer & 0x7f);
	else
		snprintf(why, size, "the helper ended with status %d", answer >> 8);
}

/* Nobody waited for the answer, and it was no good one: the module may be gone, or patched by somebody else. */
static void ksplice_report_running(const struct ksplice_coming *coming)
{
	const struct module *module;
	char why[64];

	mutex_lock(&ksplice_mutex);
	preempt_disable();
	module = find_module(coming->name);
	preempt_enable();
	ksplice_say_answer(coming->answer, why, sizeof(why));
	if (module && ksplice_without(coming->name))
		pr_err("ksplice: module %s is loaded UNPATCHED: %s\n", coming->name, why);
	mutex_unlock(&ksplice_mutex);
}

/* Runs the helper, which may take longer than anybody waits for it. */
static void ksplice_late_work(struct work_struct *work)
{
	struct ksplice_coming *coming = container_of(work, struct ksplice_coming, work);
	char helper[KSPLICE_HELPER_SIZE], target[MODULE_NAME_LEN + 32];
	char *argv[] = { helper, target, NULL };
	bool alone;
	char *envp[] = { "HOME=/", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL };

	kernel_param_lock(THIS_MODULE);
	strscpy(helper, ksplice_helper, sizeof(helper));
	kernel_param_unlock(THIS_MODULE);
	argv[0] = strim(helper);	/* echo ends in a newline */
	snprintf(target, sizeof(target), "--finish-target=%s", coming->name);
	coming->answer = call_usermodehelper(helper, argv, envp, UMH_WAIT_PROC);
	complete(&coming->answered);
	alone = coming->alone;
	if (alone && coming->answer)
		ksplice_report_running(coming);
	ksplice_put_coming(coming);
	if (alone)
		module_put(THIS_MODULE);	/* our exit waits for this queue */
}

struct ksplice_coming *ksplice_alloc_coming(const char *name)
{
	struct ksplice_coming *coming = ksplice_alloc(sizeof(*coming));

	if (!coming)
		return NULL;
	kref_init(&coming->ref);
	init_completion(&coming->answered);
	INIT_WORK(&coming->work, ksplice_late_work);
	strscpy(coming->name, name, sizeof(coming->name));
	return coming;
}

/* It was being loaded when the update was not yet applied, and runs: it is patched as soon as can be. */
void ksplice_patch_running(const char *name, const char *id)
{
	struct ksplice_coming *coming = ksplice_alloc_coming(name);

	pr_info("ksplice: module %s runs without update %s: asking the helper\n", name, id);
	if (!coming || !try_module_get(THIS_MODULE)) {
		pr_err("ksplice: module %s is loaded UNPATCHED: the helper cannot be asked\n", name);
		kvfree(coming);
		return;
	}
	coming->alone = true;
	queue_work(ksplice_late_queue, &coming->work);
}

/* Has such a module come since somebody found that it is not there? At the end of an operation that applies. */
void ksplice_patch_missed(const struct ksplice_update *update)
{
	char name[MODULE_NAME_LEN];
	const char *from = update->skipped;
	int length;

	while (from && !ksplice_late_is_allowed() &&
	       sscanf(from, " %55s%n", name, &length) == 1) {
		struct module *module;
		bool live;

		from += length;
		preempt_disable();
		module = find_module(name);
		/* One that comes with another update's help is asked for again. */
		live = module && (module->state == MODULE_STATE_LIVE || ksplice_is_coming(module));
		preempt_enable();
		if (live && !ksplice_has_patched(update, name))
			ksplice_patch_running(name, update->id);
	}
}


/*
 * Asks the helper for one that comes, and waits for a bounded time. -EINTR if the task is killed, else 0: why
 * says what came of it, should it not be patched then.
 */
int ksplice_ask_helper(struct ksplice_coming *coming, char *why, size_t size)
{
	long left;

	kref_get(&coming->ref);
	queue_work(ksplice_late_queue, &coming->work);
	left = wait_for_completion_killable_timeout(&coming->answered, ksplice_late_timeout());
	if (left < 0)
		return -EINTR;
	if (!left)
		strscpy(why, "the helper does not answer in time", size);
	else
		ksplice_say_answer(coming->answer, why, size);
	return 0;
}

int ksplice_helper_init(void)
{
	if (!ksplice_alloc_fails())
		ksplice_late_queue = alloc_workqueue("ksplice_late", WQ_UNBOUND, 0);
	return ksplice_late_queue ? 0 : -ENOMEM;
}

void ksplice_helper_exit(void)
{
	destroy_workqueue(ksplice_late_queue);
}
