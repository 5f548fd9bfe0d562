// SPDX-License-Identifier: GPL-2.0
/*
 * Shadow variables: data that a patch adds to objects that already exist. A structure of the running
 * kernel cannot grow, so the new field lives here, found by the object's address and a number that
 * the patch chooses (ids are shared by all updates: an update that replaces another finds the data
 * of the first).
 *
 *	leak = ksplice_shadow_get_or_attach(sk, SK_LEAK, sizeof(*leak), GFP_ATOMIC, NULL, NULL);
 *
 * Look-ups take no lock; an entry that is freed goes after an RCU grace period. As with the object
 * itself, the caller sees to it that nobody frees the entry while it is used.
 */
#include <linux/hashtable.h>
#include <linux/module.h>
#include <linux/rculist.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

#include "core.h"
#include "ksplice-patch.h"

struct ksplice_shadow {
	struct hlist_node node;
	struct rcu_head rcu;
	const void *object;
	unsigned long id;
	u64 data[];
};

static DEFINE_HASHTABLE(ksplice_shadows, 12);
/*
 * Guards changes of the table; look-ups use RCU. Raw, as hooks free entries while the machine is
 * stopped: on PREEMPT_RT another lock's owner may be a task that waits for its turn then.
 */
static DEFINE_RAW_SPINLOCK(ksplice_shadow_lock);

static struct ksplice_shadow *ksplice_shadow_find(const void *object, unsigned long id)
{
	struct ksplice_shadow *shadow;

	hash_for_each_possible_rcu(ksplice_shadows, shadow, node, (unsigned long)object,
				   lockdep_is_held(&ksplice_shadow_lock))
		if (shadow->object == object && shadow->id == id)
			return shadow;
	return NULL;
}

void *ksplice_shadow_get(const void *object, unsigned long id)
{
	struct ksplice_shadow *shadow;

	rcu_read_lock();
	shadow = ksplice_shadow_find(object, id);
	rcu_read_unlock();
	return shadow ? shadow->data : NULL;
}
EXPORT_SYMBOL_GPL(ksplice_shadow_get);

/* With reuse, an entry that exists already is the answer; without, it makes the call fail. */
static void *ksplice_shadow_add(const void *object, unsigned long id, size_t size, gfp_t gfp,
				ksplice_shadow_init_t init, void *argument, bool reuse)
{
	void *data = ksplice_shadow_get(object, id);
	struct ksplice_shadow *shadow, *old;
	unsigned long flags;

	if (data)
		return reuse ? data : NULL;
	shadow = ksplice_alloc_fails() ? NULL :
		 kzalloc(struct_size(shadow, data, size / sizeof(u64) + 1), gfp);
	if (!shadow)
		return NULL;
	shadow->object = object;
	shadow->id = id;
	raw_spin_lock_irqsave(&ksplice_shadow_lock, flags);
	old = ksplice_shadow_find(object, id);
	if (old || (init && init(object, shadow->data, argument))) {
		raw_spin_unlock_irqrestore(&ksplice_shadow_lock, flags);
		kfree(shadow);
		return old && reuse ? old->data : NULL;
	}
	hash_add_rcu(ksplice_shadows, &shadow->node, (unsigned long)object);
	raw_spin_unlock_irqrestore(&ksplice_shadow_lock, flags);
	return shadow->data;
}

void *ksplice_shadow_attach(const void *object, unsigned long id, size_t size, gfp_t gfp,
			    ksplice_shadow_init_t init, void *argument)
{
	return ksplice_shadow_add(object, id, size, gfp, init, argument, false);
}
EXPORT_SYMBOL_GPL(ksplice_shadow_attach);

void *ksplice_shadow_get_or_attach(const void *object, unsigned long id, size_t size, gfp_t gfp,
				   ksplice_shadow_init_t init, void *argument)
{
	return ksplice_shadow_add(object, id, size, gfp, init, argument, true);
}
EXPORT_SYMBOL_GPL(ksplice_shadow_get_or_attach);

static void ksplice_shadow_remove(struct ksplice_shadow *shadow, ksplice_shadow_done_t done)
{
	hash_del_rcu(&shadow->node);
	if (done)
		done(shadow->object, shadow->data);
	kfree_rcu(shadow, rcu);
}

void ksplice_shadow_free(const void *object, unsigned long id, ksplice_shadow_done_t done)
{
	struct ksplice_shadow *shadow;
	unsigned long flags;

	raw_spin_lock_irqsave(&ksplice_shadow_lock, flags);
	shadow = ksplice_shadow_find(object, id);
	if (shadow)
		ksplice_shadow_remove(shadow, done);
	raw_spin_unlock_irqrestore(&ksplice_shadow_lock, flags);
}
EXPORT_SYMBOL_GPL(ksplice_shadow_free);

void ksplice_shadow_free_all(unsigned long id, ksplice_shadow_done_t done)
{
	struct ksplice_shadow *shadow;
	struct hlist_node *next;
	unsigned long flags;
	int i;

	raw_spin_lock_irqsave(&ksplice_shadow_lock, flags);
	hash_for_each_safe(ksplice_shadows, i, next, shadow, node)
		if (shadow->id == id)
			ksplice_shadow_remove(shadow, done);
	raw_spin_unlock_irqrestore(&ksplice_shadow_lock, flags);
}
EXPORT_SYMBOL_GPL(ksplice_shadow_free_all);

/* What no update has freed; nobody is left who could use it. */
void ksplice_shadow_exit(void)
{
	struct ksplice_shadow *shadow;
	struct hlist_node *next;
	int i;

	hash_for_each_safe(ksplice_shadows, i, next, shadow, node)
		ksplice_shadow_remove(shadow, NULL);
}
