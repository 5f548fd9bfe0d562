// SPDX-License-Identifier: GPL-2.0
/*
 * Late modules: a target that an applied update was left without (partial) is patched when it comes,
 * before its init code runs.
 *
 * Its update module has to be finished for the place where the target is now. User space does that, with
 * the addresses in /sys/module/NAME/sections, which are there only when the module is linked, relocated
 * and known by name. So its init function is exchanged for ours when it is coming, and ours is called in
 * the same task when all is ready but the module's own code has not run (but for its handlers of
 * parameters, which the kernel calls earlier). It asks the helper (helper.c), waits for a bounded time, and goes on
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
#include <linux/notifier.h>
#include <linux/sched/signal.h>

#include "core.h"

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
	unsigned long end = jiffies + ksplice_late_timeout() + HZ;
	const struct ksplice_update *update;
	char why[64];
	int ret = ksplice_ask_helper(coming, why, sizeof(why));

	if (ret)
		return ret;
	if (!ksplice_lock_soon(end))
		return ksplice_not_patched(coming->name, "(unknown)", "another operation goes on");
	update = ksplice_without(coming->name);
	if (update)
		ret = ksplice_not_patched(coming->name, update->id, why);
	mutex_unlock(&ksplice_mutex);
	return ret;
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
	if (ksplice_late_is_allowed())
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
	    !ksplice_is_patched(module) && !ksplice_late_is_allowed())
		ksplice_patch_running(module->name, id);
	if (!found)
		return;
	ksplice_put_coming(found);
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
	return register_module_notifier(&ksplice_module_notifier);
}

void ksplice_late_exit(void)
{
	unregister_module_notifier(&ksplice_module_notifier);
}
