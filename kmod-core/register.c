// SPDX-License-Identifier: GPL-2.0
/*
 * Update modules come and go: each makes itself known when it is loaded. The first one of an id makes
 * the update, the last one that leaves takes it away. Also the start and the end of the core itself.
 */
#include <linux/delay.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/module.h>

#include "core.h"

#define KSPLICE_CONFLICTS_SIZE 16384
#define KSPLICE_ATTEMPTS 1000
#define KSPLICE_TIMEOUT_MS 10000

static struct ksplice_update *ksplice_make_update(const struct ksplice_object *object)
{
	struct ksplice_update *update = ksplice_alloc(sizeof(*update));
	int ret = -ENOMEM;

	if (!update)
		return ERR_PTR(-ENOMEM);
	INIT_LIST_HEAD(&update->members);
	INIT_LIST_HEAD(&update->batches);
	update->nr_objects = object->nr_objects;
	update->attempts = KSPLICE_ATTEMPTS;
	update->timeout_ms = KSPLICE_TIMEOUT_MS;
	update->settle = true;
	kobject_init(&update->kobj, &ksplice_update_type);
	INIT_WORK(&update->work, ksplice_work);
	update->id = ksplice_copy_string(ksplice_str(object->id));
	update->description = ksplice_copy_string(ksplice_str(object->description));
	update->conflicts.size = KSPLICE_CONFLICTS_SIZE;
	update->conflicts.buf = ksplice_alloc(KSPLICE_CONFLICTS_SIZE);
	if (update->id && update->description && update->conflicts.buf) {
		update->kobj.kset = ksplice_kset;
		if (!ksplice_alloc_fails())
			ret = kobject_add(&update->kobj, NULL, "%s", update->id);
	}
	if (ret) {
		kobject_put(&update->kobj);
		return ERR_PTR(ret);
	}
	kobject_uevent(&update->kobj, KOBJ_ADD);
	raw_spin_lock(&ksplice_late_lock);
	list_add_tail(&update->list, &ksplice_updates);
	raw_spin_unlock(&ksplice_late_lock);
	pr_info("ksplice: Update %s preparing\n", update->id);
	return update;
}

/* The update that this object belongs to, made if it is the first; ERR_PTR if it does not fit. */
static struct ksplice_update *ksplice_update_for(const struct ksplice_object *object)
{
	struct ksplice_update *update = ksplice_find_update(ksplice_str(object->id));
	struct ksplice_member *member;

	if (!update)
		return ksplice_make_update(object);
	if (update->nr_objects != object->nr_objects ||
	    (update->stage == KSPLICE_REVERSED && !ksplice_stays(update)))
		return ERR_PTR(-EBUSY);
	list_for_each_entry(member, &update->members, list)
		if (!strcmp(ksplice_str(member->object->target), ksplice_str(object->target)))
			return ERR_PTR(-EEXIST);
	if (update->nr_members == update->nr_objects)
		return ERR_PTR(-EBUSY);
	return update;
}

/* Makes an update module known; called when it is loaded. */
int ksplice_register(struct ksplice_object *object, struct module *module)
{
	struct ksplice_update *update;
	struct ksplice_member *member;
	int ret = ksplice_check_object(object, module);

	if (ret)
		return ret;
	member = ksplice_alloc(sizeof(*member));
	if (!member)
		return -ENOMEM;
	member->object = object;
	member->module = module;
	INIT_LIST_HEAD(&member->targeted);
	if (mutex_lock_killable(&ksplice_mutex)) {
		kvfree(member);
		return -EINTR;
	}
	update = ksplice_update_for(object);
	if (IS_ERR(update)) {
		mutex_unlock(&ksplice_mutex);
		kvfree(member);
		return PTR_ERR(update);
	}
	member->update = update;
	update->nr_members++;
	list_add_tail(&member->list, &update->members);
	mutex_unlock(&ksplice_mutex);
	return 0;
}
EXPORT_SYMBOL_GPL(ksplice_register);

/*
 * "rmmod -f" takes a module away in spite of our pin on it. Its code must be out of use before we let
 * it go: for as long as that takes. The task that unloads it is in the module's exit function.
 */
static void ksplice_forced_out(struct ksplice_update *update)
{
	pr_err("ksplice: Update %s is unloaded by force while it is applied; reversing it\n",
	       update->id);
	update->leaving = current;
	while (ksplice_reverse(update)) {
		mutex_unlock(&ksplice_mutex);
		msleep(100);
		mutex_lock(&ksplice_mutex);
	}
	update->leaving = NULL;
}

/* The same with a member that has lost its target. */
static bool ksplice_forget_orphan(const struct ksplice_object *object)
{
	struct ksplice_member *member;

	list_for_each_entry(member, &ksplice_orphans, list) {
		if (member->object != object)
			continue;
		pr_err("ksplice: module %s is unloaded by force while live memory may lead into it\n",
		       member->module->name);
		ksplice_unpin(member);
		list_del(&member->list);
		kvfree(member);
		return true;
	}
	return false;
}

/* Called when an update module is unloaded; it is not applied, or it would be pinned. */
void ksplice_unregister(struct ksplice_object *object)
{
	struct ksplice_update *update;
	struct ksplice_member *member, *found = NULL;

	mutex_lock(&ksplice_mutex);
	update = ksplice_find_update(ksplice_str(object->id));
	if (update)
		list_for_each_entry(member, &update->members, list)
			if (member->object == object)
				found = member;
	if ((!found && ksplice_forget_orphan(object)) || WARN_ON_ONCE(!found)) {
		mutex_unlock(&ksplice_mutex);
		return;
	}
	if (found->batch)
		ksplice_forced_out(update);
	if (found->stays) {
		pr_err("ksplice: Update %s is unloaded by force while live memory may lead into it\n",
		       update->id);
		ksplice_unpin(found);
	}
	list_del(&found->list);
	kvfree(found);
	if (--update->nr_members) {
		ksplice_settle_targets(update);	/* it may have been why others are held */
		mutex_unlock(&ksplice_mutex);
		return;
	}
	update->gone = true;
	raw_spin_lock(&ksplice_late_lock);
	list_del(&update->list);
	raw_spin_unlock(&ksplice_late_lock);
	mutex_unlock(&ksplice_mutex);
	/* Waits for readers and writers of the files, who may wait for the mutex. */
	kobject_del(&update->kobj);
	kobject_put(&update->kobj);
}
EXPORT_SYMBOL_GPL(ksplice_unregister);

static int __init ksplice_init(void)
{
	int ret = ksplice_worker_init();

	if (ret)
		return ret;
	ret = ksplice_helper_init();
	if (ret)
		goto worker;
	ret = ksplice_sysfs_init();
	if (ret)
		goto helper;
	ret = ksplice_late_init();
	if (ret)
		goto sysfs;
	return ksplice_jump_init();	/* 0: it is registered only once */

sysfs:
	ksplice_sysfs_exit();
helper:
	ksplice_helper_exit();
worker:
	ksplice_worker_exit();
	return ret;
}

static void __exit ksplice_exit(void)
{
	ksplice_late_exit();
	ksplice_worker_exit();
	ksplice_helper_exit();
	ksplice_sysfs_exit();
	ksplice_shadow_exit();
	ksplice_jump_exit();
}

module_init(ksplice_init);
module_exit(ksplice_exit);
MODULE_DESCRIPTION("Ksplice: replaces functions of the running kernel");
MODULE_LICENSE("GPL");
