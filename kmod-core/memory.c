// SPDX-License-Identifier: GPL-2.0
/*
 * Memory for the core. Everything that can be missing is asked for here, so that a test can make each
 * single request fail.
 */
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/slab.h>

#include "core.h"

static int ksplice_fail_alloc;
module_param_named(fail_alloc, ksplice_fail_alloc, int, 0600);
MODULE_PARM_DESC(fail_alloc, "test: let the n-th allocation from now on fail");

/* Asked at every place where memory can be missing, in the core or in what it calls. */
bool ksplice_alloc_fails(void)
{
	return ksplice_fail_alloc > 0 && !--ksplice_fail_alloc;
}

/* Zeroed memory for kvfree(). */
void *ksplice_alloc(size_t size)
{
	return ksplice_alloc_fails() ? NULL : kvzalloc(size, GFP_KERNEL);
}

/* Counters in the per-cpu data of modules, which an instruction reaches without a register. */
#define KSPLICE_NEAR_COUNTERS 64
static DEFINE_PER_CPU(u64[KSPLICE_NEAR_COUNTERS], ksplice_near);
static bool ksplice_near_used[KSPLICE_NEAR_COUNTERS];

/* A number of 0 for each processor, for ksplice_free_counter(); near others if it can be. */
u64 __percpu *ksplice_alloc_counter(bool near)
{
	unsigned int i, cpu;

	for (i = 0; near && i < KSPLICE_NEAR_COUNTERS; i++) {
		if (ksplice_near_used[i])
			continue;
		ksplice_near_used[i] = true;
		for_each_possible_cpu(cpu)
			per_cpu(ksplice_near, cpu)[i] = 0;
		return &ksplice_near[i];
	}
	return ksplice_alloc_fails() ? NULL : alloc_percpu(u64);
}

void ksplice_free_counter(u64 __percpu *counter)
{
	unsigned int i;

	for (i = 0; i < KSPLICE_NEAR_COUNTERS; i++) {
		if (counter != &ksplice_near[i])
			continue;
		ksplice_near_used[i] = false;
		return;
	}
	free_percpu(counter);
}

char *ksplice_copy_string(const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = ksplice_alloc(size);

	if (copy)
		memcpy(copy, text, size);
	return copy;
}
