// SPDX-License-Identifier: GPL-2.0
/* Update for tests: replaces the first NR (parameter nr) of the functions of many.c. */
#include <linux/module.h>
#include <linux/string.h>

#include "counter.h"
#include "ksplice_abi.h"
#include "many.h"

#define SIZE 20	/* ENDBR, the ftrace site, lea and ret or a jump */

static u8 bytes[1000][SIZE];
static struct ksplice_range ranges[1000];

#define DEFINE(n) \
	int many_##n(int x); \
	static noinline __used int new_##n(int x) { asm volatile(""); return x + 1000 + n; } \
	COUNTER(many_##n, new_##n);
EACH(DEFINE)

#define P(x) ((unsigned long)(x))
#define RUN(n) { P("many_" #n), P(many_##n), P(bytes[n - 100]), P(&ranges[n - 100]), SIZE, 1 },
static struct ksplice_run runs[] = { EACH(RUN) };
#define FUNCTION(n) { P("many_" #n), P(&runs[n - 100]), P(new_##n), 1, 0, P(counter_many_##n) },
static struct ksplice_function functions[] = { EACH(FUNCTION) };

struct ksplice_object ksplice_update_object = {
	KSPLICE_ABI_VERSION, 1, P("many"), P("test update"), P("many"), 0, P(runs), P(functions), 0, 0
};

static int set_nr(const char *value, const struct kernel_param *kp)
{
	unsigned int i, nr;
	int ret = kstrtouint(value, 0, &nr);

	if (ret || nr > ARRAY_SIZE(runs))
		return -EINVAL;
	for (i = 0; i < nr; i++) {
		memcpy(bytes[i], (void *)runs[i].addr, SIZE);
		/* An ENDBR, which may have become a nop, is before the site. */
		ranges[i].offset = bytes[i][0] == 0xf3 || bytes[i][0] == 0x66 ? 4 : 0;
		runs[i].size = SIZE - 4 + ranges[i].offset;
		ranges[i].length = 5;
		ranges[i].kind = KSPLICE_RANGE_FTRACE;
	}
	ksplice_update_object.nr_runs = nr;
	ksplice_update_object.nr_functions = nr;
	return 0;
}

static const struct kernel_param_ops nr_ops = { .set = set_nr };
module_param_cb(nr, &nr_ops, NULL, 0);
