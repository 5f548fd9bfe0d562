// SPDX-License-Identifier: GPL-2.0
/* Update for tests: replaces the function in which a processor goes offline. */
#include <linux/module.h>
#include <asm/smp.h>

static noinline void new_idle_dead(void)
{
	smp_ops.play_dead();
}

#define UPDATE_ID "dead"
#define UPDATE_TARGET "vmlinux"
#define UPDATE_OBJECTS 1
#define UPDATE_FUNCTIONS(F) F(arch_cpu_idle_dead, new_idle_dead)
#include "update.h"
