// SPDX-License-Identifier: GPL-2.0
// What runs later: timers, work, threads, and other things that the kernel calls when their time comes.
#include <linux/async.h>
#include <linux/hrtimer.h>
#include <linux/interrupt.h>
#include <linux/irq_work.h>
#include <linux/kthread.h>
#include <linux/mempool.h>
#include <linux/smp.h>
#include <linux/srcu.h>
#include <linux/timer.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "giver.h"

HITS(timer);
static void timer_old(struct timer_list *timer)
{
	timer_hits++;
	mod_timer(timer, jiffies + 2);
}
static DEFINE_TIMER(timer_live, timer_old);
#ifdef PATCH_timer
static void timer_new(struct timer_list *timer)
{
	timer_hits += 1000;
	mod_timer(timer, jiffies + 2);
}
#endif
GIVE(timer)
{
#ifdef PATCH_timer
	timer_live.function = timer_new;
#endif
	mod_timer(&timer_live, jiffies + 1);
}
POKE(timer) { msleep(20); }

/* A timer of the update itself. */
HITS(own_timer);
#ifdef PATCH_own_timer
static void own_timer_tick(struct timer_list *timer)
{
	own_timer_hits += 1000;
	mod_timer(timer, jiffies + 2);
}
static DEFINE_TIMER(own_timer_new, own_timer_tick);
#endif
GIVE(own_timer)
{
#ifdef PATCH_own_timer
	mod_timer(&own_timer_new, jiffies + 1);
#else
	own_timer_hits++;
#endif
}
POKE(own_timer) { msleep(20); }

HITS(set_up_timer);
struct timer_list set_up_timer_live;
static void set_up_timer_old(struct timer_list *timer) { set_up_timer_hits++; }
#ifdef PATCH_set_up_timer
static void set_up_timer_new(struct timer_list *timer) { set_up_timer_hits += 1000; }
#endif
GIVE(set_up_timer)
{
#ifdef PATCH_set_up_timer
	timer_setup(&set_up_timer_live, set_up_timer_new, 0);
#else
	timer_setup(&set_up_timer_live, set_up_timer_old, 0);
#endif
}
POKE(set_up_timer)
{
	mod_timer(&set_up_timer_live, jiffies + 1);
	msleep(20);
}

HITS(work);
static void work_old(struct work_struct *work) { work_hits++; }
static DECLARE_WORK(work_live, work_old);
#ifdef PATCH_work
static void work_new(struct work_struct *work) { work_hits += 1000; }
#endif
GIVE(work)
{
#ifdef PATCH_work
	work_live.func = work_new;
#endif
	schedule_work(&work_live);
}
POKE(work)
{
	schedule_work(&work_live);
	flush_work(&work_live);
}

HITS(delayed_work);
static void delayed_work_old(struct work_struct *work);
static DECLARE_DELAYED_WORK(delayed_work_live, delayed_work_old);
static void delayed_work_old(struct work_struct *work)
{
	delayed_work_hits++;
	schedule_delayed_work(&delayed_work_live, 2);
}
#ifdef PATCH_delayed_work
static void delayed_work_new(struct work_struct *work)
{
	delayed_work_hits += 1000;
	schedule_delayed_work(to_delayed_work(work), 2);
}
#endif
GIVE(delayed_work)
{
#ifdef PATCH_delayed_work
	cancel_delayed_work_sync(&delayed_work_live);
	INIT_DELAYED_WORK(&delayed_work_live, delayed_work_new);
#endif
	schedule_delayed_work(&delayed_work_live, 1);
}
POKE(delayed_work) { msleep(20); }

/* A queue of the update's own, with a work item that the update brings. */
HITS(workqueue);
struct workqueue_struct *workqueue_live;
struct work_struct *workqueue_item;
#ifdef PATCH_workqueue
static void workqueue_new(struct work_struct *work) { workqueue_hits += 1000; }
static DECLARE_WORK(workqueue_work, workqueue_new);
#endif
GIVE(workqueue)
{
#ifdef PATCH_workqueue
	workqueue_live = alloc_workqueue("given", 0, 0);
	workqueue_item = &workqueue_work;
#else
	workqueue_hits++;
#endif
}
POKE(workqueue)
{
	if (!workqueue_live)
		return;
	queue_work(workqueue_live, workqueue_item);
	flush_work(workqueue_item);
}

HITS(hrtimer);
static enum hrtimer_restart hrtimer_old(struct hrtimer *timer)
{
	hrtimer_hits++;
	return HRTIMER_NORESTART;
}
struct hrtimer hrtimer_live;
#ifdef PATCH_hrtimer
static enum hrtimer_restart hrtimer_new(struct hrtimer *timer)
{
	hrtimer_hits += 1000;
	hrtimer_forward_now(timer, ms_to_ktime(10));
	return HRTIMER_RESTART;
}
#endif
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 13, 0)
static inline void hrtimer_setup(struct hrtimer *timer, enum hrtimer_restart (*function)(struct hrtimer *),
				 clockid_t clock, enum hrtimer_mode mode)
{
	hrtimer_init(timer, clock, mode);
	timer->function = function;
}
#endif
GIVE(hrtimer)
{
#ifdef PATCH_hrtimer
	hrtimer_setup(&hrtimer_live, hrtimer_new, CLOCK_MONOTONIC, HRTIMER_MODE_REL);
#else
	hrtimer_setup(&hrtimer_live, hrtimer_old, CLOCK_MONOTONIC, HRTIMER_MODE_REL);
#endif
	hrtimer_start(&hrtimer_live, ms_to_ktime(1), HRTIMER_MODE_REL);
}
POKE(hrtimer) { msleep(20); }

HITS(tasklet);
struct tasklet_struct tasklet_live;
static void tasklet_old(struct tasklet_struct *tasklet) { tasklet_hits++; }
#ifdef PATCH_tasklet
static void tasklet_new(struct tasklet_struct *tasklet) { tasklet_hits += 1000; }
#endif
GIVE(tasklet)
{
#ifdef PATCH_tasklet
	tasklet_setup(&tasklet_live, tasklet_new);
#else
	tasklet_setup(&tasklet_live, tasklet_old);
#endif
}
POKE(tasklet)
{
	if (tasklet_live.callback)
		tasklet_schedule(&tasklet_live);
	msleep(5);
}

HITS(irq_work);
static void irq_work_old(struct irq_work *work) { irq_work_hits++; }
struct irq_work irq_work_live = IRQ_WORK_INIT(irq_work_old);
#ifdef PATCH_irq_work
static void irq_work_new(struct irq_work *work) { irq_work_hits += 1000; }
#endif
GIVE(irq_work)
{
#ifdef PATCH_irq_work
	irq_work_live.func = irq_work_new;
#endif
	irq_work_queue(&irq_work_live);
}
POKE(irq_work)
{
	irq_work_queue(&irq_work_live);
	irq_work_sync(&irq_work_live);
}

/* A thread that runs new code all the time, with a name that is a text of the update. */
HITS(kthread);
#ifdef PATCH_kthread
static int kthread_new(void *data)
{
	while (!kthread_should_stop()) {
		kthread_hits += 1000;
		msleep(10);
	}
	return 0;
}
#endif
GIVE(kthread)
{
#ifdef PATCH_kthread
	kthread_run(kthread_new, NULL, "given_thread");
#else
	kthread_hits++;
#endif
}
POKE(kthread) { msleep(20); }

HITS(kthread_work);
static struct kthread_worker *kthread_work_worker;
struct kthread_work kthread_work_live;
static void kthread_work_old(struct kthread_work *work) { kthread_work_hits++; }
#ifdef PATCH_kthread_work
static void kthread_work_new(struct kthread_work *work) { kthread_work_hits += 1000; }
#endif
GIVE(kthread_work)
{
	if (!kthread_work_worker)
		kthread_work_worker = kthread_create_worker(0, "giver");
	kthread_init_work(&kthread_work_live, kthread_work_old);
#ifdef PATCH_kthread_work
	kthread_work_live.func = kthread_work_new;
#endif
}
POKE(kthread_work)
{
	kthread_queue_work(kthread_work_worker, &kthread_work_live);
	kthread_flush_work(&kthread_work_live);
}

/* An RCU callback that posts itself again. */
HITS(rcu);
struct rcu_head rcu_live;
static void rcu_old(struct rcu_head *head) { rcu_hits++; }
#ifdef PATCH_rcu
static void rcu_new(struct rcu_head *head)
{
	rcu_hits += 1000;
	call_rcu(head, rcu_new);
}
#endif
GIVE(rcu)
{
#ifdef PATCH_rcu
	call_rcu(&rcu_live, rcu_new);
#else
	call_rcu(&rcu_live, rcu_old);
	rcu_barrier();
#endif
}
POKE(rcu) { msleep(50); }

HITS(srcu);
DEFINE_STATIC_SRCU(srcu_domain);
struct rcu_head srcu_live;
static void srcu_old(struct rcu_head *head) { srcu_hits++; }
#ifdef PATCH_srcu
static void srcu_new(struct rcu_head *head)
{
	srcu_hits += 1000;
	call_srcu(&srcu_domain, head, srcu_new);
}
#endif
GIVE(srcu)
{
#ifdef PATCH_srcu
	call_srcu(&srcu_domain, &srcu_live, srcu_new);
#else
	call_srcu(&srcu_domain, &srcu_live, srcu_old);
	srcu_barrier(&srcu_domain);
#endif
}
POKE(srcu) { msleep(50); }

HITS(cross_call);
static void cross_call_old(void *data) { cross_call_hits++; }
call_single_data_t cross_call_live = CSD_INIT(cross_call_old, NULL);
#ifdef PATCH_cross_call
static void cross_call_new(void *data) { cross_call_hits += 1000; }
#endif
GIVE(cross_call)
{
#ifdef PATCH_cross_call
	cross_call_live.func = cross_call_new;
#endif
	barrier();
}
POKE(cross_call)
{
	smp_call_function_single_async(cpumask_last(cpu_online_mask), &cross_call_live);
	msleep(5);
}

HITS(wait_entry);
static DECLARE_WAIT_QUEUE_HEAD(wait_entry_queue);
struct wait_queue_entry wait_entry_live;
static int wait_entry_old(struct wait_queue_entry *entry, unsigned int mode, int flags, void *key)
{
	wait_entry_hits++;
	return 0;
}
#ifdef PATCH_wait_entry
static int wait_entry_new(struct wait_queue_entry *entry, unsigned int mode, int flags, void *key)
{
	wait_entry_hits += 1000;
	return 0;
}
#endif
GIVE(wait_entry)
{
#ifdef PATCH_wait_entry
	init_waitqueue_func_entry(&wait_entry_live, wait_entry_new);
#else
	init_waitqueue_func_entry(&wait_entry_live, wait_entry_old);
#endif
	if (!waitqueue_active(&wait_entry_queue))
		add_wait_queue(&wait_entry_queue, &wait_entry_live);
}
POKE(wait_entry) { wake_up_all(&wait_entry_queue); }

/* Runs for a second, and so may still run while the update is undone. */
HITS(async);
#ifdef PATCH_async
static void async_new(void *data, async_cookie_t cookie)
{
	int i;

	for (i = 0; i < 100; i++) {
		msleep(10);
		async_hits += 1000;
	}
}
#endif
GIVE(async)
{
#ifdef PATCH_async
	async_schedule(async_new, NULL);
#else
	async_hits++;
#endif
}
POKE(async) { msleep(20); }

HITS(mempool);
mempool_t *mempool_live;
#ifdef PATCH_mempool
static void *mempool_new_alloc(gfp_t flags, void *data)
{
	mempool_hits += 1000;
	return kmalloc(64, flags);
}
static void mempool_new_free(void *element, void *data) { kfree(element); }
#endif
GIVE(mempool)
{
#ifdef PATCH_mempool
	mempool_live = mempool_create(2, mempool_new_alloc, mempool_new_free, NULL);
#else
	mempool_hits++;
#endif
}
POKE(mempool)
{
	if (!IS_ERR_OR_NULL(mempool_live))
		mempool_free(mempool_alloc(mempool_live, GFP_KERNEL), mempool_live);
}

/* Called and done before it returns: nothing is left to keep. */
HITS(on_each_cpu);
#ifdef PATCH_on_each_cpu
static void on_each_cpu_new(void *data) { on_each_cpu_hits += 1000; }
#endif
GIVE(on_each_cpu)
{
#ifdef PATCH_on_each_cpu
	on_each_cpu(on_each_cpu_new, NULL, 1);
#else
	on_each_cpu_hits++;
#endif
}
POKE(on_each_cpu) { msleep(5); }

static const struct giver givers[] = {
	GIVER(timer), GIVER(own_timer), GIVER(set_up_timer), GIVER(work), GIVER(delayed_work), GIVER(workqueue),
	GIVER(hrtimer), GIVER(tasklet), GIVER(irq_work), GIVER(kthread), GIVER(kthread_work), GIVER(rcu), GIVER(srcu),
	GIVER(cross_call), GIVER(wait_entry), GIVER(async), GIVER(mempool), GIVER(on_each_cpu),
};
GIVERS(later);
