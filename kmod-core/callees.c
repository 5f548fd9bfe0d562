// SPDX-License-Identifier: GPL-2.0
/*
 * Two updates that know nothing of each other: one gives a function other parameters, and with it
 * replaces all that call it in the source; the other's new code is the first to call it, and was
 * compiled for the parameters that it had. Whichever comes second is refused, unless it was made on top
 * of the first.
 */
#include "core.h"

static bool ksplice_made_on(const struct ksplice_update *update, const struct ksplice_update *other)
{
	const struct ksplice_member *member;
	u32 i;

	list_for_each_entry(member, &update->members, list)
		for (i = 0; i < member->object->nr_needs; i++)
			if (!strcmp(ksplice_str(ksplice_needs(member->object)[i].id), other->id))
				return true;
	return false;
}

/* Is it addr that leads to this body? It is the original's entry, or that of the body below. */
static bool ksplice_leads_to(const struct ksplice_body *body, u64 addr)
{
	return addr == ksplice_function_run(body->function)->addr ||
	       addr == ksplice_function_run(body->slot->bottom->function)->addr;
}

/* A function of the batch with other parameters, which an object's new code calls; NULL if none. */
static const struct ksplice_body *ksplice_misled(const struct ksplice_object *object,
						 const struct ksplice_batch *batch)
{
	unsigned int i;
	u32 j;

	for (i = 0; i < batch->nr_bodies; i++) {
		const struct ksplice_body *body = &batch->bodies[i];

		if (!(body->function->flags & KSPLICE_FUNCTION_RESHAPED))
			continue;
		for (j = 0; j < object->nr_callees; j++)
			if (ksplice_leads_to(body, ksplice_callees(object)[j].addr))
				return body;
	}
	return NULL;
}

/* The same for all members of an update that take part in any batch. */
static const struct ksplice_body *ksplice_misled_update(const struct ksplice_update *update,
							const struct ksplice_batch *batch)
{
	const struct ksplice_body *body = NULL;
	const struct ksplice_member *member;

	list_for_each_entry(member, &update->members, list)
		if (!body && member->batch)
			body = ksplice_misled(member->object, batch);
	return body;
}

/* Compares the update, whose members have the batch by now, with all that are applied. 0, or aborts. */
int ksplice_check_callees(struct ksplice_update *update, const struct ksplice_batch *batch)
{
	const struct ksplice_batch *other;
	const struct ksplice_body *body;

	list_for_each_entry(other, &ksplice_batches, all) {
		if (other->update == update || ksplice_made_on(update, other->update))
			continue;
		body = ksplice_misled_update(update, other);
		if (body)
			return ksplice_abort(update, KSPLICE_CONFLICT,
					     "update %s gave %s other parameters, and the new code of this one calls it as it was",
					     other->update->id, ksplice_str(body->function->name));
		body = ksplice_misled_update(other->update, batch);
		if (body)
			return ksplice_abort(update, KSPLICE_CONFLICT,
					     "it gives %s other parameters, and the new code of update %s calls it as it was",
					     ksplice_str(body->function->name), other->update->id);
	}
	return 0;
}
