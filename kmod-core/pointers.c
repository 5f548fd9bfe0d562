// SPDX-License-Identifier: GPL-2.0
/*
 * Pointers in existing data that are switched with the code, where the user of ksplice-create has
 * consented to it: entries of tables of operations. Each must hold the value that the update was made
 * for, before the switch and again under stop_machine, and holds the other one from that instant on.
 *
 * Most such tables are read-only after the start. They are written through a second, writable mapping
 * of their page, which is made before anything is armed and lives as long as the batch: undoing needs
 * no memory.
 *
 * A task that was preempted between reading a pointer and the call keeps the old value. That is
 * harmless at apply, as the old function stays; at undo the modules stay until all such tasks have
 * gone on (ksplice_unmap_pointers()).
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

static int ksplice_refuse_pointer(struct ksplice_update *update,
				  const struct ksplice_pointer *pointer, u64 expected, u64 found)
{
	ksplice_note(update, "pointer %s\nexpected %px\nfound    %px\n", ksplice_str(pointer->name),
		     (void *)(unsigned long)expected, (void *)(unsigned long)found);
	return ksplice_abort(update, KSPLICE_NO_MATCH,
			     "the pointer %s is not what it was, expected %ps, found %ps: somebody else has changed it",
			     ksplice_str(pointer->name), (void *)(unsigned long)expected,
			     (void *)(unsigned long)found);
}

/* Do all pointers of the member have the values that the update was made for? */
int ksplice_verify_pointers(struct ksplice_update *update, struct ksplice_member *member)
{
	const struct ksplice_pointer *pointers = ksplice_pointers(member->object);
	u32 i;

	for (i = 0; i < member->object->nr_pointers; i++) {
		u64 found;

		if (!ksplice_is_data(member, pointers[i].addr) ||
		    copy_from_kernel_nofault(&found, (void *)(unsigned long)pointers[i].addr,
					     sizeof(found)))
			return ksplice_abort(update, KSPLICE_NO_MATCH,
					     "the pointer %s is not in the data of %s",
					     ksplice_str(pointers[i].name),
					     ksplice_str(member->object->target));
		if (found != pointers[i].old_value)
			return ksplice_refuse_pointer(update, &pointers[i], pointers[i].old_value,
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

/* Returns 0, or aborts. ksplice_unmap_pointers() is to be called in both cases. */
int ksplice_map_pointers(struct ksplice_update *update, struct ksplice_member *member)
{
	const struct ksplice_pointer *pointers = ksplice_pointers(member->object);
	u32 i, nr = member->object->nr_pointers;

	if (!nr)
		return 0;
	member->pointers = ksplice_alloc(nr * sizeof(*member->pointers));
	for (i = 0; member->pointers && i < nr; i++) {
		member->pointers[i] = ksplice_map(member, pointers[i].addr);
		if (!member->pointers[i])
			break;
	}
	if (!member->pointers || i < nr)
		return ksplice_abort(update, KSPLICE_OUT_OF_MEMORY, "no memory to map %s",
				     ksplice_str(pointers[member->pointers ? i : 0].name));
	return 0;
}

void ksplice_unmap_pointers(struct ksplice_member *member)
{
	u32 i;

	if (!member->pointers)
		return;
	synchronize_rcu_tasks();
	for (i = 0; i < member->object->nr_pointers; i++)
		if (member->pointers[i])
			vunmap((void *)((unsigned long)member->pointers[i] & PAGE_MASK));
	kvfree(member->pointers);
	member->pointers = NULL;
}

/* Under stop_machine: the first pointer that has not the value it should have before the switch. */
const struct ksplice_pointer *ksplice_wrong_pointer(const struct ksplice_member *member, bool on)
{
	const struct ksplice_pointer *pointers = ksplice_pointers(member->object);
	u32 i;

	for (i = 0; i < member->object->nr_pointers; i++)
		if (READ_ONCE(*member->pointers[i]) !=
		    (on ? pointers[i].old_value : pointers[i].new_value))
			return &pointers[i];
	return NULL;
}

/* Under stop_machine. */
void ksplice_switch_pointers(struct ksplice_member *member, bool on)
{
	const struct ksplice_pointer *pointers = ksplice_pointers(member->object);
	u32 i;

	for (i = 0; i < member->object->nr_pointers; i++)
		WRITE_ONCE(*member->pointers[i],
			   on ? pointers[i].new_value : pointers[i].old_value);
}

/* After ksplice_wrong_pointer() has found one. */
int ksplice_report_pointer(struct ksplice_update *update, const struct ksplice_pointer *pointer,
			   bool on)
{
	u64 found = 0;

	if (copy_from_kernel_nofault(&found, (void *)(unsigned long)pointer->addr, sizeof(found)))
		found = 0;
	return ksplice_refuse_pointer(update, pointer,
				      on ? pointer->old_value : pointer->new_value, found);
}
