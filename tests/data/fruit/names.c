// SPDX-License-Identifier: GPL-2.0
// Out-of-tree module for tests/vm/module_source.sh: its second file.
#include <linux/bug.h>
#include <linux/export.h>
#include <linux/kernel.h>

#include "fruit.h"

static const char *const names[] = {"apple", "pear", "plum"};

static noinline unsigned int fruit_kind(unsigned int n)
{
	OPTIMIZER_HIDE_VAR(n);
	return n % ARRAY_SIZE(names);
}

const char *fruit_name(unsigned int n)
{
	if (WARN_ON_ONCE(n >= ARRAY_SIZE(names)))
		return "nothing";
	return names[fruit_kind(n)];
}
EXPORT_SYMBOL_GPL(fruit_name);
