// SPDX-License-Identifier: GPL-2.0
/*
 * Who traces the code of an update itself, rather than the functions that it replaces: users of
 * ftrace that named one of its functions, as a BPF program of the kind kprobe.multi does. Such a
 * program holds the update's module. (Kprobes do not: they go with the module.)
 */
#include <linux/ftrace.h>
#include <linux/module.h>
#include <linux/rcupdate.h>

#include "core.h"

static bool ksplice_traces(const struct ftrace_ops *ops, unsigned long ip)
{
	struct ftrace_hash *hash;

	if (!(ops->flags & FTRACE_OPS_FL_ENABLED) || !ops->func_hash)
		return false;
	hash = rcu_dereference_raw(ops->func_hash->filter_hash);
	return hash && ftrace_lookup_ip(hash, ip);	/* an empty one names no function */
}

/* Notes each function of the module that is traced, and by whom; first gets the first of them. */
void ksplice_note_tracers(struct ksplice_update *update, const struct module *module, char *first,
			  size_t size)
{
	struct ftrace_ops *ops;
	char owner[KSYM_NAME_LEN];
	unsigned int i;

	*first = '\0';
	for (i = 0; i < module->num_ftrace_callsites; i++) {
		unsigned long ip = module->ftrace_callsites[i];
		bool found = false;

		preempt_disable();
		for (ops = rcu_dereference_raw(ftrace_ops_list); ops && !found;
		     ops = rcu_dereference_raw(ops->next)) {
			found = ksplice_traces(ops, ip);
			if (found)
				ksplice_describe_ops(ops, owner, sizeof(owner));
		}
		preempt_enable();
		if (!found)
			continue;
		ksplice_note(update, "function %ps is traced by %s\n", (void *)ip, owner);
		if (!*first)
			scnprintf(first, size, ": %ps is traced by %s", (void *)ip, owner);
	}
}
