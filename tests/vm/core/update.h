/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Makes an update object by hand, to test the core without the other tools. Included at the end of a
 * file that defines the new functions and
 *
 *	#define UPDATE_ID "one"
 *	#define UPDATE_TARGET "vmlinux"
 *	#define UPDATE_OBJECTS 1			how many update modules the update has
 *	#define UPDATE_FUNCTIONS(F) F(old, new) ...
 *	#define UPDATE_RUNS(R) R(name) ...		code that is only verified; may be left out
 *	#define UPDATE_HOOKS { { P(array), n }, ... }	may be left out
 *	#define UPDATE_STANDS_ON "one"			may be left out
 *	#define UPDATE_POINTER new			a pointer in data that becomes new; may be left out
 *	#define UPDATE_KEPT "what\n"			what may be in use after an undo; may be left out
 *	#define UPDATE_FLAGS 1				of its functions; may be left out
 *	#define UPDATE_OBJECT_FLAGS 1			of the whole; may be left out
 *	#define UPDATE_CALLEE "name"			what new code calls anew; may be left out
 *	#define UPDATE_UNIT "name"			of which it has code; may be left out
 *
 * Where the old code is comes with the parameter code=name:address:size/..., which must be given; the
 * expected bytes are those found there at that time. The parameters target_module= and on= give the addresses
 * of the modules that are patched and stood on, callee= that of the callee, pointer= and was= where the pointer is and what
 * it is now. The parameter corrupt=name then breaks one, and
 * poke=TABLE:OFFSET:VALUE/... changes a byte of a table by exclusive or: o the object (before its
 * hooks), r the runs, f the functions, g the ranges, p the pointers.
 */
#include <linux/module.h>
#include <linux/string.h>

#include "counter.h"
#include "ksplice_abi.h"

#define P(x) ((unsigned long)(x))
#define UPDATE_MAX_SIZE 2048

#ifndef UPDATE_RUNS
#define UPDATE_RUNS(R)
#endif
#ifndef UPDATE_HOOKS
#define UPDATE_HOOKS { { 0, 0 } }
#endif

#ifdef UPDATE_STANDS_ON
static struct ksplice_need needs[] = { { P(UPDATE_STANDS_ON), 0 } };
module_param_named(on, needs[0].module, ullong, 0);
#define UPDATE_NEEDS P(needs)
#define UPDATE_NR_NEEDS 1
#else
#define UPDATE_NEEDS 0
#define UPDATE_NR_NEEDS 0
#endif

#ifdef UPDATE_POINTER
static struct ksplice_place pointers[] = { { P("the table"), 0, ~0ULL, 0, P(UPDATE_POINTER) } };
module_param_named(pointer, pointers[0].addr, ullong, 0);
module_param_named(was, pointers[0].old_value, ullong, 0);
#define UPDATE_POINTERS P(pointers)
#define UPDATE_NR_POINTERS 1
#else
#define UPDATE_POINTERS 0
#define UPDATE_NR_POINTERS 0
#endif

#ifdef UPDATE_CALLEE
static struct ksplice_callee callees[] = { { P(UPDATE_CALLEE), 0 } };
module_param_named(callee, callees[0].addr, ullong, 0);
#define UPDATE_CALLEES P(callees)
#define UPDATE_NR_CALLEES 1
#else
#define UPDATE_CALLEES 0
#define UPDATE_NR_CALLEES 0
#endif

#ifdef UPDATE_UNIT
static struct ksplice_unit units[] = { { P(UPDATE_UNIT) } };
#define UPDATE_UNITS P(units)
#define UPDATE_NR_UNITS 1
#else
#define UPDATE_UNITS 0
#define UPDATE_NR_UNITS 0
#endif

#ifndef UPDATE_OBJECT_FLAGS
#define UPDATE_OBJECT_FLAGS 0
#endif

#ifndef UPDATE_FLAGS
#define UPDATE_FLAGS 0
#endif

#ifdef UPDATE_KEPT
#define UPDATE_KEPT_TEXT P(UPDATE_KEPT)
#else
#define UPDATE_KEPT_TEXT 0
#endif

#define ONE_FUNCTION(old, new) RUN_##old,
#define ONE_RUN(name) RUN_##name,
enum { UPDATE_FUNCTIONS(ONE_FUNCTION) NR_FUNCTIONS, BEFORE_RUNS = NR_FUNCTIONS - 1,
       UPDATE_RUNS(ONE_RUN) NR_RUNS };
#undef ONE_FUNCTION
#undef ONE_RUN

static u8 bytes[NR_RUNS][UPDATE_MAX_SIZE];
static struct ksplice_range ranges[NR_RUNS];

#define ONE_RUN(name) [RUN_##name] = { P(#name), 0, P(bytes[RUN_##name]), P(&ranges[RUN_##name]) },
#define ONE_FUNCTION(old, new) ONE_RUN(old)
static struct ksplice_run runs[] = { UPDATE_FUNCTIONS(ONE_FUNCTION) UPDATE_RUNS(ONE_RUN) };
#undef ONE_FUNCTION
#undef ONE_RUN

#define ONE_FUNCTION(old, new) COUNTER(old, new);
UPDATE_FUNCTIONS(ONE_FUNCTION)
#undef ONE_FUNCTION

#define ONE_FUNCTION(old, new) { P(#old), P(&runs[RUN_##old]), P(new), 1, UPDATE_FLAGS, P(counter_##old) },
static struct ksplice_function functions[] = { UPDATE_FUNCTIONS(ONE_FUNCTION) };
#undef ONE_FUNCTION

struct ksplice_object ksplice_update_object = {
	KSPLICE_ABI_VERSION, UPDATE_OBJECTS, P(UPDATE_ID), P("test update"), P(UPDATE_TARGET), 0,
	P(runs), P(functions), UPDATE_NEEDS, UPDATE_POINTERS, UPDATE_CALLEES, UPDATE_UNITS, UPDATE_KEPT_TEXT, NR_RUNS, NR_FUNCTIONS, UPDATE_NR_NEEDS,
	UPDATE_NR_POINTERS, UPDATE_NR_CALLEES, UPDATE_NR_UNITS, UPDATE_OBJECT_FLAGS, 0, UPDATE_HOOKS
};
module_param_named(target_module, ksplice_update_object.target_module, ullong, 0);

static struct ksplice_run *find_run(const char *name, size_t length)
{
	unsigned int i;

	for (i = 0; i < NR_RUNS; i++) {
		const char *own = (const char *)P(runs[i].name);

		if (strlen(own) == length && !memcmp(own, name, length))
			return &runs[i];
	}
	return NULL;
}

static int set_code(const char *value, const struct kernel_param *kp)
{
	while (*value && *value != '\n') {
		struct ksplice_run *run = find_run(value, strcspn(value, ":"));
		u8 *copy;

		if (!run || sscanf(value + strcspn(value, ":"), ":%lli:%u", &run->addr, &run->size) != 2 ||
		    run->size > UPDATE_MAX_SIZE)
			return -EINVAL;
		copy = bytes[run - runs];
		memcpy(copy, (void *)P(run->addr), run->size);
		ranges[run - runs] = (struct ksplice_range){
			/* after an ENDBR, which may have become a nop */
			.offset = copy[0] == 0xf3 || copy[0] == 0x66 ? 4 : 0,
			.length = 5, .kind = KSPLICE_RANGE_FTRACE,
		};
		copy += ranges[run - runs].offset;
		/* An int3 while ftrace exchanges it. */
		run->nr_ranges = copy[0] == 0xe8 || copy[0] == 0xcc ||
				 !memcmp(copy, "\x0f\x1f\x44\x00\x00", 5);
		value += strcspn(value, "/");
		value += strspn(value, "/");
	}
	return 0;
}

static int set_corrupt(const char *value, const struct kernel_param *kp)
{
	struct ksplice_run *run = find_run(value, strcspn(value, "\n"));

	if (!run || !run->size)
		return -EINVAL;
	bytes[run - runs][run->size - 1] ^= 0xff;
	return 0;
}

static int set_poke(const char *value, const struct kernel_param *kp)
{
	while (*value && *value != '\n') {
		unsigned int offset, change;
		size_t size = 0;
		char table;
		u8 *start = NULL;

		if (sscanf(value, "%c:%u:%i", &table, &offset, &change) != 3)
			return -EINVAL;
		switch (table) {
		case 'o':
			start = (u8 *)&ksplice_update_object;
			size = offsetof(struct ksplice_object, hooks);
			break;
		case 'r':
			start = (u8 *)runs;
			size = sizeof(runs);
			break;
		case 'f':
			start = (u8 *)functions;
			size = sizeof(functions);
			break;
#ifdef UPDATE_POINTER
		case 'p':
			start = (u8 *)pointers;
			size = sizeof(pointers);
			break;
#endif
		case 'g':
			start = (u8 *)ranges;
			size = sizeof(ranges);
			break;
		}
		if (!start)
			return -EINVAL;
		start[offset % size] ^= change;
		value += strcspn(value, "/");
		value += strspn(value, "/");
	}
	return 0;
}

static const struct kernel_param_ops code_ops = { .set = set_code };
static const struct kernel_param_ops corrupt_ops = { .set = set_corrupt };
module_param_cb(code, &code_ops, NULL, 0);
static const struct kernel_param_ops poke_ops = { .set = set_poke };
module_param_cb(corrupt, &corrupt_ops, NULL, 0);
module_param_cb(poke, &poke_ops, NULL, 0);
