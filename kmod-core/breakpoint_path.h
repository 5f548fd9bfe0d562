/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What runs between a breakpoint in the kernel and the core's notifier, of exc_int3(): an NMI that calls
 * one of these while its jump is being written would go round in circles. For the core (choose.c), and
 * for ksplice-create, which says so earlier.
 */
#ifndef KSPLICE_BREAKPOINT_PATH_H
#define KSPLICE_BREAKPOINT_PATH_H

#define KSPLICE_BREAKPOINT_PATH \
	"do_int3 kgdb_ll_trap __kgdb_notify kprobe_int3_handler get_kprobe kprobe_exceptions_notify " \
	"notify_die atomic_notifier_call_chain notifier_call_chain arch_uprobe_exception_notify " \
	"uprobe_pre_sstep_notifier uprobe_post_sstep_notifier func_ptr_is_kernel_text " \
	"kernel_text_address __kernel_text_address core_kernel_text rcu_is_watching __rcu_read_lock " \
	"__rcu_read_unlock rcu_read_unlock_special rcu_read_unlock_strict " \
	"rcu_lockdep_current_cpu_online debug_lockdep_rcu_enabled lock_acquire lock_release " \
	"lock_is_held_type preempt_count_add preempt_count_sub " \
	"trace_hwlat_callback trace_osnoise_callback trace_hardirqs_off_finish trace_clock_local " \
	"sched_clock native_sched_clock hw_breakpoint_exceptions_notify hw_breakpoint_handler"

#endif
