// SPDX-License-Identifier: GPL-2.0
/*
 * Checks on the tables of an update object, once, when its module registers: every pointer that the
 * core will follow stays within the memory of that module, every count fits, every string ends, and
 * new code lies in the module's text. Addresses in the running kernel are checked to be code. After
 * that the rest of the core reads the tables without further doubts (a module could change its
 * tables later, but then it is code that lies, not data).
 */
#include <linux/ctype.h>
#include <linux/kernel.h>

#include "core.h"

#define KSPLICE_MAX_ENTRIES 65536
#define KSPLICE_MAX_RUN (1 << 20)
#define KSPLICE_MAX_STRING 4096
#define KSPLICE_MAX_ID 64

struct ksplice_area {
	unsigned long base;
	unsigned long size;
	bool text;
};

/*
 * The pieces of memory that a module has after its init memory is gone. Linux 6.4 replaced
 * core_layout by mem[] ("module: replace module_layout with module_memory").
 */
static unsigned int ksplice_areas(const struct module *module, struct ksplice_area *areas)
{
	unsigned int nr = 0;
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 4, 0)
	for_class_mod_mem_type(type, core) {
		areas[nr].base = (unsigned long)module->mem[type].base;
		areas[nr].size = module->mem[type].size;
		areas[nr++].text = type == MOD_TEXT;
	}
#else
	unsigned long base = (unsigned long)module->core_layout.base;

	areas[nr].base = base;
	areas[nr].size = module->core_layout.text_size;
	areas[nr++].text = true;
	areas[nr].base = base + module->core_layout.text_size;
	areas[nr].size = module->core_layout.size - module->core_layout.text_size;
	areas[nr++].text = false;
#endif
	return nr;
}

static bool ksplice_in_area(const struct ksplice_area *area, unsigned long addr,
			    unsigned long size)
{
	return addr >= area->base && addr - area->base <= area->size &&
	       size <= area->size - (addr - area->base);
}

/* True if the bytes are in one piece of the module's memory. */
bool ksplice_within(const struct module *module, unsigned long addr, unsigned long size)
{
	struct ksplice_area areas[8];
	unsigned int i, nr = ksplice_areas(module, areas);

	for (i = 0; i < nr; i++)
		if (ksplice_in_area(&areas[i], addr, size))
			return true;
	return false;
}

bool ksplice_within_text(const struct module *module, unsigned long addr, unsigned long size)
{
	struct ksplice_area areas[8];
	unsigned int i, nr = ksplice_areas(module, areas);

	for (i = 0; i < nr; i++)
		if (areas[i].text && ksplice_in_area(&areas[i], addr, size))
			return true;
	return false;
}

bool ksplice_text_range(const struct module *module, unsigned long *start, unsigned long *end)
{
	struct ksplice_area areas[8];
	unsigned int i, nr = ksplice_areas(module, areas);

	for (i = 0; i < nr; i++) {
		if (!areas[i].text || !areas[i].size)
			continue;
		*start = areas[i].base;
		*end = areas[i].base + areas[i].size;
		return true;
	}
	return false;
}

#define ksplice_refuse(fmt, ...) \
	(pr_err("ksplice: bad update object: " fmt "\n", ##__VA_ARGS__), -EINVAL)

static bool ksplice_good_table(const struct module *module, u64 addr, u64 nr, size_t size)
{
	return nr <= KSPLICE_MAX_ENTRIES && !(addr & 7) &&
	       (!nr || ksplice_within(module, addr, nr * size));
}

static bool ksplice_good_string(const struct module *module, u64 addr)
{
	unsigned long i;

	for (i = 0; i < KSPLICE_MAX_STRING; i++) {
		if (!ksplice_within(module, addr + i, 1))
			return false;
		if (!ksplice_str(addr)[i])
			return true;
	}
	return false;
}

/* A name becomes a folder in sysfs and a word in messages. */
static bool ksplice_good_word(const char *word)
{
	size_t len = strlen(word), i;

	if (!len || len > KSPLICE_MAX_ID)
		return false;
	for (i = 0; i < len; i++)
		if (!(isascii(word[i]) && isalnum(word[i])) && word[i] != '_' && word[i] != '-')
			return false;
	return true;
}

static int ksplice_check_ranges(const struct module *module, const struct ksplice_run *run)
{
	const struct ksplice_range *ranges = (void *)(unsigned long)run->ranges;
	u64 end = 0;
	u32 i, v;

	if (!ksplice_good_table(module, run->ranges, run->nr_ranges, sizeof(*ranges)))
		return ksplice_refuse("ranges of %s", ksplice_str(run->name));
	for (i = 0; i < run->nr_ranges; i++) {
		u64 at = ranges[i].variants;

		if (ranges[i].offset < end || (u64)ranges[i].offset + ranges[i].length > run->size ||
		    !ranges[i].length || ranges[i].kind < KSPLICE_RANGE_VARIANTS ||
		    ranges[i].kind > KSPLICE_RANGE_ALTERNATIVE)
			return ksplice_refuse("range %u of %s", i, ksplice_str(run->name));
		end = (u64)ranges[i].offset + ranges[i].length;
		for (v = 0; v < ranges[i].nr_variants; v++) {
			const u8 *variant = (const u8 *)(unsigned long)at;

			if (!ksplice_within(module, at, 1) || *variant > ranges[i].length ||
			    !ksplice_within(module, at, 1ul + ranges[i].length))
				return ksplice_refuse("variant %u of range %u of %s", v, i,
						      ksplice_str(run->name));
			at += 1 + ranges[i].length;
		}
	}
	return 0;
}

static int ksplice_check_runs(const struct ksplice_object *object, const struct module *module)
{
	const struct ksplice_run *runs = ksplice_runs(object);
	u32 i;
	int ret;

	if (!ksplice_good_table(module, object->runs, object->nr_runs, sizeof(*runs)))
		return ksplice_refuse("table of run code");
	for (i = 0; i < object->nr_runs; i++) {
		if (!ksplice_good_string(module, runs[i].name))
			return ksplice_refuse("name of run code %u", i);
		if (!runs[i].size || runs[i].size > KSPLICE_MAX_RUN ||
		    !ksplice_within(module, runs[i].bytes, runs[i].size))
			return ksplice_refuse("bytes of %s", ksplice_str(runs[i].name));
		if (runs[i].addr + runs[i].size < runs[i].addr)
			return ksplice_refuse("address of %s", ksplice_str(runs[i].name));
		ret = ksplice_check_ranges(module, &runs[i]);
		if (ret)
			return ret;
	}
	return 0;
}

static int ksplice_check_functions(const struct ksplice_object *object,
				   const struct module *module)
{
	const struct ksplice_function *functions = ksplice_functions(object);
	u64 runs_size = object->nr_runs * sizeof(struct ksplice_run);
	u32 i;

	if (!ksplice_good_table(module, object->functions, object->nr_functions,
				sizeof(*functions)))
		return ksplice_refuse("table of functions");
	for (i = 0; i < object->nr_functions; i++) {
		if (!ksplice_good_string(module, functions[i].name))
			return ksplice_refuse("name of function %u", i);
		if (functions[i].run < object->runs ||
		    functions[i].run - object->runs >= runs_size ||
		    (functions[i].run - object->runs) % sizeof(struct ksplice_run))
			return ksplice_refuse("run code of %s", ksplice_str(functions[i].name));
		if (!functions[i].new_size ||
		    !ksplice_within_text(module, functions[i].new_addr, functions[i].new_size))
			return ksplice_refuse("new code of %s", ksplice_str(functions[i].name));
		if (functions[i].counter && (functions[i].counter % KSPLICE_COUNTER_SIZE ||
					     !ksplice_within_text(module, functions[i].counter,
								  KSPLICE_COUNTER_SIZE)))
			return ksplice_refuse("counter of %s", ksplice_str(functions[i].name));
	}
	return 0;
}

static int ksplice_check_needs(const struct ksplice_object *object, const struct module *module)
{
	const struct ksplice_need *needs = ksplice_needs(object);
	u32 i;

	if (!ksplice_good_table(module, object->needs, object->nr_needs, sizeof(*needs)))
		return ksplice_refuse("table of updates that it stands on");
	for (i = 0; i < object->nr_needs; i++)
		if (!ksplice_good_string(module, needs[i].id) ||
		    !ksplice_good_word(ksplice_str(needs[i].id)))
			return ksplice_refuse("id of update %u that it stands on", i);
	return 0;
}

/* Whole bytes. */
static bool ksplice_good_mask(u64 mask)
{
	const u64 lowest = 0x0101010101010101ULL;

	return mask && mask == (mask & lowest) * 0xff;
}

static int ksplice_check_places(const struct ksplice_object *object, const struct module *module)
{
	const struct ksplice_place *places = ksplice_places(object);
	u32 i;

	if (!ksplice_good_table(module, object->places, object->nr_places, sizeof(*places)))
		return ksplice_refuse("table of places");
	for (i = 0; i < object->nr_places; i++)
		if (!ksplice_good_string(module, places[i].name) || (places[i].addr & 7) ||
		    !ksplice_good_mask(places[i].mask) ||
		    ((places[i].old_value | places[i].new_value) & ~places[i].mask))
			return ksplice_refuse("place %u", i);
	return 0;
}

/* A table of records that begin with a name. */
static int ksplice_check_named(const struct module *module, u64 table, u32 nr, size_t size,
			       const char *what)
{
	u32 i;

	if (!ksplice_good_table(module, table, nr, size))
		return ksplice_refuse("table of %ss", what);
	for (i = 0; i < nr; i++)
		if (!ksplice_good_string(module, *(const u64 *)(unsigned long)(table + i * size)))
			return ksplice_refuse("name of %s %u", what, i);
	return 0;
}

static int ksplice_check_hooks(const struct ksplice_object *object, const struct module *module)
{
	unsigned int kind;
	u64 i;

	for (kind = 0; kind < KSPLICE_NR_HOOKS; kind++) {
		const struct ksplice_hook_table *table = &object->hooks[kind];
		const u64 *hooks = (const u64 *)(unsigned long)table->hooks;

		if (!ksplice_good_table(module, table->hooks, table->nr, sizeof(*hooks)))
			return ksplice_refuse("table of hooks %u", kind);
		for (i = 0; i < table->nr; i++)
			if (!ksplice_within_text(module, hooks[i], 1))
				return ksplice_refuse("hook %llu of kind %u", i, kind);
	}
	return 0;
}

/* Returns 0 or -EINVAL; the reason is in the kernel log. */
int ksplice_check_object(const struct ksplice_object *object, const struct module *module)
{
	int ret;

	if (!ksplice_within(module, (unsigned long)object, sizeof(*object)) ||
	    ((unsigned long)object & 7))
		return ksplice_refuse("not in its module");
	if (object->abi_version != KSPLICE_ABI_VERSION)
		return ksplice_refuse("interface version %u, this core has %u",
				      object->abi_version, KSPLICE_ABI_VERSION);
	if (!ksplice_good_string(module, object->id) || !ksplice_good_word(ksplice_str(object->id)))
		return ksplice_refuse("id");
	if (!ksplice_good_string(module, object->target) ||
	    !ksplice_good_word(ksplice_str(object->target)))
		return ksplice_refuse("target");
	if (!ksplice_good_string(module, object->description))
		return ksplice_refuse("description");
	if (object->kept && !ksplice_good_string(module, object->kept))
		return ksplice_refuse("text of what is kept");
	if (!object->nr_objects || object->nr_objects > KSPLICE_MAX_ENTRIES)
		return ksplice_refuse("number of objects");
	ret = ksplice_check_runs(object, module);
	if (!ret)
		ret = ksplice_check_functions(object, module);
	if (!ret)
		ret = ksplice_check_needs(object, module);
	if (!ret)
		ret = ksplice_check_places(object, module);
	if (!ret)
		ret = ksplice_check_named(module, object->callees, object->nr_callees,
					  sizeof(struct ksplice_callee), "callee");
	if (!ret)
		ret = ksplice_check_named(module, object->units, object->nr_units,
					  sizeof(struct ksplice_unit), "unit");
	if (!ret)
		ret = ksplice_check_hooks(object, module);
	return ret;
}
