/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For patches: hooks that run when the update is applied or reversed, and shadow variables. A patch
 * includes it as <ksplice-patch.h>; ksplice-create puts it on the include path.
 *
 * Hooks, in the order in which they run over all targets of the update:
 *
 *	ksplice_pre_apply(int f(void))		may sleep; nothing is changed yet. Not 0: not applied
 *	ksplice_check_apply(int f(void))	machine stopped, before the switch. Not 0: not applied
 *	ksplice_apply(void f(void))		machine stopped, just after the switch
 *	ksplice_post_apply(void f(void))	may sleep; the update is applied
 *	ksplice_fail_apply(void f(void))	may sleep; undoes what pre_apply did, after a failure
 *
 * and the same five with _reverse. check hooks run at each try, so they must not change anything.
 * A fail hook runs also if the pre hook of its own target was the one that failed. Under a stopped
 * machine no hook may sleep, take a lock that others hold, or wait for another CPU.
 *
 *	static int prepare(void) { ... }
 *	ksplice_pre_apply(prepare);
 */
#ifndef KSPLICE_PATCH_H
#define KSPLICE_PATCH_H

#include <linux/compiler.h>
#include <linux/types.h>

#define ksplice_hook(kind, type, fn)					\
	static type (*const __ksplice_##kind##_##fn)(void)		\
	__attribute__((__used__, __section__(".ksplice.call_" #kind))) = fn

#define ksplice_pre_apply(fn)		ksplice_hook(pre_apply, int, fn)
#define ksplice_check_apply(fn)		ksplice_hook(check_apply, int, fn)
#define ksplice_apply(fn)		ksplice_hook(apply, void, fn)
#define ksplice_post_apply(fn)		ksplice_hook(post_apply, void, fn)
#define ksplice_fail_apply(fn)		ksplice_hook(fail_apply, void, fn)
#define ksplice_pre_reverse(fn)		ksplice_hook(pre_reverse, int, fn)
#define ksplice_check_reverse(fn)	ksplice_hook(check_reverse, int, fn)
#define ksplice_reverse(fn)		ksplice_hook(reverse, void, fn)
#define ksplice_post_reverse(fn)	ksplice_hook(post_reverse, void, fn)
#define ksplice_fail_reverse(fn)	ksplice_hook(fail_reverse, void, fn)

/*
 * What a patch adds may be in use after the update is undone: a function in a timer, a work item or a
 * notifier, data in a list. Unless it is plain that no address of the update is left anywhere, undo
 * switches the functions back and keeps the update's modules in memory. A patch whose reverse hooks
 * (pre_reverse, reverse, post_reverse) take every such address back, and wait until nobody uses one
 * any more, says so, once per target; then the modules are unloaded:
 *
 *	static void stop(void) { unregister_netdevice_notifier(&new_notifier); }
 *	ksplice_post_reverse(stop);
 *	ksplice_addresses_removed();
 */
#define ksplice_addresses_removed()					\
	static const char __ksplice_addresses_removed			\
	__attribute__((__used__, __section__(".ksplice.addresses_removed"))) = 1

/*
 * Shadow variables: size bytes of zeroed, 8-byte aligned data, found by object and id. init and
 * done run with a raw spin lock held and interrupts off, also on PREEMPT_RT: there they may take raw
 * ones only. If init does not return 0 nothing is attached.
 */
typedef int (*ksplice_shadow_init_t)(const void *object, void *data, void *argument);
typedef void (*ksplice_shadow_done_t)(const void *object, void *data);

/* The data, or NULL. */
void *ksplice_shadow_get(const void *object, unsigned long id);
/* NULL also if there is data already. */
void *ksplice_shadow_attach(const void *object, unsigned long id, size_t size, gfp_t gfp,
			    ksplice_shadow_init_t init, void *argument);
void *ksplice_shadow_get_or_attach(const void *object, unsigned long id, size_t size, gfp_t gfp,
				   ksplice_shadow_init_t init, void *argument);
void ksplice_shadow_free(const void *object, unsigned long id, ksplice_shadow_done_t done);
/* For all objects. */
void ksplice_shadow_free_all(unsigned long id, ksplice_shadow_done_t done);

#endif
