// SPDX-License-Identifier: GPL-2.0
/* Update for tests: version 1 of the functions of versions.c, which it calls at their addresses. */
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/sched.h>

static int (*inner_a)(int depth);
static int (*inner_b)(int depth);
void version_count(int own, int bad);

static noinline int new_inner_a(int depth)
{
	return depth > 1 ? inner_b(depth - 1) : 1;
}

static noinline int new_inner_b(int depth)
{
	if (depth > 1 && !inner_a(depth - 1))
		return 0;
	return 1;
}

static noinline void new_outer(unsigned int n)
{
	int bad = inner_a(1) != 1;

	if (n % 16 == 0)
		usleep_range(10, 200);
	else
		cond_resched();
	bad += inner_b(2) != 1;
	bad += inner_a(3) != 1;
	version_count(1, bad);
}

module_param_named(inner_a, *(unsigned long *)&inner_a, ulong, 0444);
module_param_named(inner_b, *(unsigned long *)&inner_b, ulong, 0444);

#define UPDATE_ID "load"
#define UPDATE_TARGET "versions"
#define UPDATE_OBJECTS 2
#define UPDATE_FUNCTIONS(F) \
	F(version_inner_a, new_inner_a) F(version_inner_b, new_inner_b) F(version_outer, new_outer)
#include "update.h"
