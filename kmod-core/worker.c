// SPDX-License-Identifier: GPL-2.0
/*
 * An operation that its own task stands in the way of, such as an update of vfs_write() that is asked
 * for through write(): a worker goes on with it after the write has returned.
 */
#include <linux/kobject.h>
#include <linux/workqueue.h>

#include "core.h"

static struct workqueue_struct *ksplice_queue;

static int ksplice_run_operation(struct ksplice_update *update, enum ksplice_stage wanted)
{
	return wanted == KSPLICE_APPLIED ? ksplice_apply(update) : ksplice_reverse(update);
}

/* The rest of an operation, when the task that asked for it was in the way. */
void ksplice_work(struct work_struct *work)
{
	struct ksplice_update *update = container_of(work, struct ksplice_update, work);

	mutex_lock(&ksplice_mutex);
	if (!update->gone && ksplice_run_operation(update, update->wanted) == -EINPROGRESS)
		ksplice_abort(update, KSPLICE_CODE_BUSY,
			      "the core's own worker is in code that is to be replaced");
	update->working = false;
	mutex_unlock(&ksplice_mutex);
	kobject_put(&update->kobj);
}

/* Brings the update to the wanted stage. 0 also if it goes on after the return: see working. */
int ksplice_operate(struct ksplice_update *update, enum ksplice_stage wanted)
{
	int ret = ksplice_run_operation(update, wanted);

	if (ret != -EINPROGRESS)
		return ret;
	update->wanted = wanted;
	update->working = true;
	kobject_get(&update->kobj);
	queue_work(ksplice_queue, &update->work);
	return 0;
}

int ksplice_worker_init(void)
{
	ksplice_queue = ksplice_alloc_fails() ? NULL : alloc_workqueue("ksplice", WQ_UNBOUND, 1);
	return ksplice_queue ? 0 : -ENOMEM;
}

void ksplice_worker_exit(void)
{
	destroy_workqueue(ksplice_queue);
}
