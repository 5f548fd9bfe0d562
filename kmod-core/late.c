// SPDX-License-Identifier: GPL-2.0
/*
 * Late modules: a target that an applied update was left without (partial) is patched when it comes,
 * before its init code runs.
 *
 * Its update module has to be finished for the place where the target is now. User space does that, with
 * the addresses in /sys/module/NAME/sections, which are there only when the module is linked, relocated
 * and known by name. So its init function is exchanged for ours when it is coming, and ours is called in
 * the same task when all is ready but the module's own code has not run (but for its handlers of
 * parameters, which the kernel calls earlier). It asks the helper, waits for a bounded time, and goes on
 * with the module's own:
 *
 *	load_module:  notifiers (exchange) -> parameters -> sysfs -> ours -> helper: ksplice-apply
 *	                                                                       loads the update module,
 *	                                                                       writes the stage
 *	                                                             <- answered, or too late
 *	                                                             -> the module's init
 *
 * Nothing else is different: the helper's operation checks the code and the stacks as any other, so that
 * it is right also if it comes when the init code runs already. A module of which the init code fails is
 * freed, whoever has pinned it, and one that is patched can be unloaded (pin.c): we are told before that, and
 * switch off what was done for it. The update then waits for it to come again.
 *
 * One that comes while the update is being applied finds nobody who waits for it: it is patched when it
 * runs, as soon as can be, and the log says so.
 *
 * No lock is held while we wait. What the host wants (parameter late): patch: a module that could not be
 * patched in time is loaded all the same, and the log says so; refuse: it is not loaded; allow: nobody is
 * asked.
 *
 * From the exchange until the module is there or gone it holds us.
 */
#include <linux/delay.h>
#include <linux/kmod.h>
#include <linux/notifier.h>
#include <linux/sched/signal.h>
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

static void ksplice_free_coming(struct kref *ref)
{
	kvfree(container_of(ref, struct ksplice_coming, ref));
}

/* What the host wants of a module that is not patched: 0, or the error with which it is not loaded. */
static int ksplice_not_patched(const char *name, const char *id, const char *why)
{
	bool refused = READ_ONCE(ksplice_late) == KSPLICE_LATE_REFUSE;

	pr_err("ksplice: module %s is %s, as update %s does not patch it: %s\n", name,
	       refused ? "NOT LOADED" : "loaded UNPATCHED", id, why);
	return refused ? -EPERM : 0;
}

/* Does an applied update wait for it? Its id, cut off at the size, is in id then. */
static bool ksplice_is_awaited(const char *name, char *id, size_t size)
{
	const struct ksplice_update *update;
	bool found = false;

	raw_spin_lock(&ksplice_late_lock);
	list_for_each_entry(update, &ksplice_updates, list) {
		if (READ_ONCE(update->stage) != KSPLICE_APPLIED ||
		    !ksplice_listed(update->skipped, name))
			continue;
		strscpy(id, update->id, size);
		found = true;
		break;
	}
	raw_spin_unlock(&ksplice_late_lock);
	return found;
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
static const struct ksplice_update *ksplice_without(const char *name)
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

/* Runs the helper, which may take longer than anybody waits for it. */
static void ksplice_late_work(struct work_struct *work)
{
	struct ksplice_coming *coming = container_of(work, struct ksplice_coming, work);
	char helper[KSPLICE_HELPER_SIZE], target[MODULE_NAME_LEN + 32];
	char *argv[] = { helper, target, NULL };
	char why[64];
	char *envp[] = { "HOME=/", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL };

	kernel_param_lock(THIS_MODULE);
	strscpy(helper, ksplice_helper, sizeof(helper));
	kernel_param_unlock(THIS_MODULE);
	argv[0] = strim(helper);	/* echo ends in a newline */
	snprintf(target, sizeof(target), "--finish-target=%s", coming->name);
	coming->answer = call_usermodehelper(helper, argv, envp, UMH_WAIT_PROC);
	if (coming->alone && coming->answer) {
		ksplice_say_answer(coming->answer, why, sizeof(why));
		pr_err("ksplice: module %s is loaded UNPATCHED: %s\n", coming->name, why);
	}
	complete(&coming->answered);
	kref_put(&coming->ref, ksplice_free_coming);
}

/*
 * A hook of an operation may wait for the very module that is being loaded: the mutex is taken only if
 * that does not last.
 */
static bool ksplice_lock_soon(unsigned long end)
{
	while (!mutex_trylock(&ksplice_mutex)) {
		if (time_after(jiffies, end) || fatal_signal_pending(current))
			return false;
		msleep(10);
	}
	return true;
}

static int ksplice_wait_for_patch(struct ksplice_coming *coming)
{
	unsigned long time = msecs_to_jiffies(READ_ONCE(ksplice_late_timeout_ms));
	unsigned long end = jiffies + time + HZ;
	const struct ksplice_update *update;
	char why[64];
	long left;
	int ret = 0;

	kref_get(&coming->ref);
	queue_work(ksplice_late_queue, &coming->work);
	left = wait_for_completion_killable_timeout(&coming->answered, time);
	if (left < 0)
		return -EINTR;
	if (!left)
		strscpy(why, "the helper does not answer in time", sizeof(why));
	else
		ksplice_say_answer(coming->answer, why, sizeof(why));
	if (!ksplice_lock_soon(end))
		return ksplice_not_patched(coming->name, "(unknown)", "another operation goes on");
	update = ksplice_without(coming->name);
	if (update)
		ret = ksplice_not_patched(coming->name, update->id, why);
	mutex_unlock(&ksplice_mutex);
	return ret;
}

static struct ksplice_coming *ksplice_alloc_coming(const char *name)
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
static void ksplice_patch_running(const char *name, const char *id)
{
	struct ksplice_coming *coming = ksplice_alloc_coming(name);

	if (!coming) {
		ksplice_not_patched(name, id, "no memory");
		return;
	}
	coming->alone = true;
	pr_warn("ksplice: module %s runs, and is not patched by update %s: that comes next\n", name, id);
	queue_work(ksplice_late_queue, &coming->work);
}

/* Has such a module come since somebody found that it is not there? At the end of an operation that applies. */
void ksplice_patch_missed(const struct ksplice_update *update)
{
	char name[MODULE_NAME_LEN];
	const char *from = update->skipped;
	int length;

	while (from && READ_ONCE(ksplice_late) != KSPLICE_LATE_ALLOW &&
	       sscanf(from, " %55s%n", name, &length) == 1) {
		struct module *module;
		bool live;

		from += length;
		preempt_disable();
		module = find_module(name);
		live = module && module->state == MODULE_STATE_LIVE;
		preempt_enable();
		if (live && !ksplice_has_patched(update, name))
			ksplice_patch_running(name, update->id);
	}
}

/* The one that this task is loading; it cannot go while the task is in its init function. */
static struct ksplice_coming *ksplice_own_coming(void)
{
	struct ksplice_coming *coming, *found = NULL;

	raw_spin_lock(&ksplice_late_lock);
	list_for_each_entry(coming, &ksplice_comings, list)
		if (coming->task == current)
			found = coming;
	raw_spin_unlock(&ksplice_late_lock);
	return found;
}

/* Takes the place of the init function. */
static int ksplice_init_late(void)
{
	struct ksplice_coming *coming = ksplice_own_coming();
	int ret;

	if (WARN_ON_ONCE(!coming))
		return -EIO;
	coming->module->init = coming->init;
	ret = ksplice_wait_for_patch(coming);
	if (ret || !coming->init)
		return ret;
	return coming->init();
}

static int ksplice_module_comes(struct module *module)
{
	struct ksplice_coming *coming;
	char id[64];

	if (!ksplice_is_awaited(module->name, id, sizeof(id)))
		return 0;
	if (READ_ONCE(ksplice_late) == KSPLICE_LATE_ALLOW)
		return ksplice_not_patched(module->name, id, "the parameter late is allow");
	coming = ksplice_alloc_coming(module->name);
	if (!coming)
		return ksplice_not_patched(module->name, id, "no memory");
	if (!try_module_get(THIS_MODULE)) {
		kvfree(coming);
		return 0;	/* the last update has gone since */
	}
	coming->module = module;
	coming->task = current;
	coming->init = module->init;
	module->init = ksplice_init_late;
	raw_spin_lock(&ksplice_late_lock);
	list_add_tail(&coming->list, &ksplice_comings);
	raw_spin_unlock(&ksplice_late_lock);
	return 0;
}

/* The module is loaded; or it goes, as its init code has failed or somebody unloads it. */
static void ksplice_module_came(struct module *module, bool goes)
{
	struct ksplice_coming *coming, *found = NULL;
	char id[64];

	raw_spin_lock(&ksplice_late_lock);
	list_for_each_entry(coming, &ksplice_comings, list)
		if (coming->module == module)
			found = coming;
	if (found)
		list_del(&found->list);
	raw_spin_unlock(&ksplice_late_lock);
	/*
	 * From now on it cannot be pinned any more, if it goes; who has just found it has said so. One that is
	 * not patched is not waited for: a hook, for which the mutex is held, may be what loads it.
	 */
	if (goes && found)
		synchronize_rcu();
	if (goes && ksplice_is_patched(module))
		ksplice_let_go(module);
	if (!goes && !found && ksplice_is_awaited(module->name, id, sizeof(id)) &&
	    !ksplice_is_patched(module) && READ_ONCE(ksplice_late) != KSPLICE_LATE_ALLOW)
		ksplice_patch_running(module->name, id);
	if (!found)
		return;
	kref_put(&found->ref, ksplice_free_coming);
	module_put(THIS_MODULE);	/* who unloads us waits for the notifiers */
}

static int ksplice_module_notify(struct notifier_block *nb, unsigned long event, void *data)
{
	struct module *module = data;

	if (event == MODULE_STATE_COMING)
		return notifier_from_errno(ksplice_module_comes(module));
	if (event == MODULE_STATE_LIVE || event == MODULE_STATE_GOING)
		ksplice_module_came(module, event == MODULE_STATE_GOING);
	return NOTIFY_OK;
}

static struct notifier_block ksplice_module_notifier = {
	.notifier_call = ksplice_module_notify,
};

int ksplice_late_init(void)
{
	int ret = -ENOMEM;

	if (!ksplice_alloc_fails())
		ksplice_late_queue = alloc_workqueue("ksplice_late", WQ_UNBOUND, 0);
	if (ksplice_late_queue)
		ret = register_module_notifier(&ksplice_module_notifier);
	if (ret && ksplice_late_queue)
		destroy_workqueue(ksplice_late_queue);
	return ret;
}

void ksplice_late_exit(void)
{
	unregister_module_notifier(&ksplice_module_notifier);
	destroy_workqueue(ksplice_late_queue);
}
