// SPDX-License-Identifier: GPL-2.0
/*
 * Places in existing data that are switched with the code, where the user of ksplice-create has
 * consented to it: entries of tables of operations, and values such as limits and texts. Each must
 * hold what the update was made for, before the switch and again under stop_machine, and holds the
 * other one from that instant on.
 *
 * Most of them are read-only after the start. They are written through a second, writable mapping
 * of their page, which is made before anything is armed and lives as long as the batch: undoing needs
 * no memory.
 *
 * A task that was preempted between reading a pointer and the call keeps the old value. That is
 * harmless at apply, as the old function stays; at undo the modules stay until all such tasks have
 * gone on (ksplice_unmap_places()).
 */
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include "core.h"

/* Data of the target, or of the kernel's own image: never the text, never the heap. */
static bool ksplice_is_data(const struct ksplice_member *member, unsigned long addr)
{
	if (member->target)
		return ksplice_within(member->target, addr, sizeof(u64)) &&
		       !ksplice_within_text(member->target, addr, sizeof(u64));
	return ksplice_in_image(addr) && !core_kernel_text(addr);
}

/* A place with a mask is a value in its bytes, another one a pointer. */
static int ksplice_refuse_place(struct ksplice_update *update, const struct ksplice_place *place,
				u64 expected, u64 found)
{
	if (place->mask != ~0ULL) {
		ksplice_note(update, "value %s\nexpected %016llx\nfound    %016llx\nof bytes %016llx\n",
			     ksplice_str(place->name), expected, found & place->mask, place->mask);
		return ksplice_abort(update, KSPLICE_NO_MATCH,
				     "the value %s is not what it was, expected %#llx, found %#llx in the bytes %#llx: somebody else has changed it",
				     ksplice_str(place->name), expected, found & place->mask,
				     place->mask);
	}
	ksplice_note(update, "pointer %s\nexpected %px\nfound    %px\n", ksplice_str(place->name),
		     (void *)(unsigned long)expected, (void *)(unsigned long)found);
	return ksplice_abort(update, KSPLICE_NO_MATCH,
			     "the pointer %s is not what it was, expected %ps, found %ps: somebody else has changed it",
			     ksplice_str(place->name), (void *)(unsigned long)expected,
			     (void *)(unsigned long)found);
}

/* Do all places of the member have the values that the update was made for? */
int ksplice_verify_places(struct ksplice_update *update, struct ksplice_member *member)
{
	const struct ksplice_place *places = ksplice_places(member->object);
	u32 i;

	for (i = 0; i < member->object->nr_places; i++) {
		u64 found;

		if (!ksplice_is_data(member, places[i].addr) ||
		    copy_from_kernel_nofault(&found, (void *)(unsigned long)places[i].addr,
					     sizeof(found)))
			return ksplice_abort(update, KSPLICE_NO_MATCH,
					     "%s is not in the data of %s",
					     ksplice_str(places[i].name),
					     ksplice_str(member->object->target));
		if ((found & places[i].mask) != places[i].old_value)
			return ksplice_refuse_place(update, &places[i], places[i].old_value,
						      found);
	}
	return 0;
}

static u64 *ksplice_map(const struct ksplice_member *member, unsigned long addr)
{
	struct page *page = member->target ? vmalloc_to_page((void *)addr)
					   : virt_to_page((void *)addr);
	char *base = NULL;

	if (page && !ksplice_alloc_fails())
		base = vmap(&page, 1, VM_MAP, PAGE_KERNEL);
	return base ? (u64 *)(base + offset_in_page(addr)) : NULL;
}

/* Returns 0, or aborts. ksplice_unmap_places() is to be called in both cases. */
int ksplice_map_places(struct ksplice_update *update, struct ksplice_member *member)
{
	const struct ksplice_place *places = ksplice_places(member->object);
	u32 i, nr = member->object->nr_places;

	if (!nr)
		return 0;
	member->places = ksplice_alloc(nr * sizeof(*member->places));
	for (i = 0; member->places && i < nr; i++) {
		member->places[i] = ksplice_map(member, places[i].addr);
		if (!member->places[i])
			break;
	}
	if (!member->places || i < nr)
		return ksplice_abort(update, KSPLICE_OUT_OF_MEMORY, "no memory to map %s",
				     ksplice_str(places[member->places ? i : 0].name));
	return 0;
}

void ksplice_unmap_places(struct ksplice_member *member)
{
	u32 i;

	if (!member->places)
		return;
	synchronize_rcu_tasks();
	for (i = 0; i < member->object->nr_places; i++)
		if (member->places[i])
			vunmap((void *)((unsigned long)member->places[i] & PAGE_MASK));
	kvfree(member->places);
	member->places = NULL;
}

static bool ksplice_is_as_expected(const struct ksplice_member *member, u32 i, bool on)
{
	const struct ksplice_place *place = &ksplice_places(member->object)[i];

	return (READ_ONCE(*member->places[i]) & place->mask) == (on ? place->old_value : place->new_value);
}

/* Under stop_machine: the first place that has not the value it should have before the switch. */
const struct ksplice_place *ksplice_wrong_place(const struct ksplice_member *member, bool on)
{
	u32 i;

	for (i = 0; i < member->object->nr_places; i++)
		if (!ksplice_is_as_expected(member, i, on))
			return &ksplice_places(member->object)[i];
	return NULL;
}

/* Of a value only its own bytes: an NMI may write to a neighbour. */
static void ksplice_store_place(u64 *to, u64 mask, u64 value)
{
	u8 *bytes = (u8 *)to;
	u32 i;

	if (mask == ~0ULL) {
		WRITE_ONCE(*to, value);
		return;
	}
	for (i = 0; i < sizeof(*to); i++)
		if ((u8)(mask >> (8 * i)))
			WRITE_ONCE(bytes[i], (u8)(value >> (8 * i)));
}

/* Under stop_machine. What somebody else has changed in a target that goes is left as it is. */
void ksplice_switch_places(struct ksplice_member *member, bool on)
{
	const struct ksplice_place *places = ksplice_places(member->object);
	u32 i;

	for (i = 0; i < member->object->nr_places; i++)
		if (ksplice_is_as_expected(member, i, on))
			ksplice_store_place(member->places[i], places[i].mask,
					    on ? places[i].new_value : places[i].old_value);
}

/* After ksplice_wrong_place() has found one. */
int ksplice_report_place(struct ksplice_update *update, const struct ksplice_place *place,
			   bool on)
{
	u64 found = 0;

	if (copy_from_kernel_nofault(&found, (void *)(unsigned long)place->addr, sizeof(found)))
		found = 0;
	return ksplice_refuse_place(update, place,
				      on ? place->old_value : place->new_value, found);
}
