// SPDX-License-Identifier: GPL-2.0
/*
 * Two updates that know nothing of each other, each right by itself, can be wrong together:
 *
 *	- They have code of one unit. The compiler sees a unit as a whole, and counts on what it sees:
 *	  which registers and which memory a function leaves alone, what it returns, that nobody writes a
 *	  variable. What one of them changes replaces all code that counted on it, but not the other's.
 *	- One gives a function other parameters, and with it replaces all that call it in the source; the
 *	  new code of the other, in whatever unit, is the first to call it.
 *
 * Whichever comes second is refused, unless it was made on top of the first.
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

/* The name of a unit of which both have code, or NULL. */
static const char *ksplice_common_unit(const struct ksplice_object *a, const struct ksplice_object *b)
{
	u32 i, j;

	if (strcmp(ksplice_str(a->target), ksplice_str(b->target)))
		return NULL;
	for (i = 0; i < a->nr_units; i++)
		for (j = 0; j < b->nr_units; j++)
			if (!strcmp(ksplice_str(ksplice_units(a)[i].name),
				    ksplice_str(ksplice_units(b)[j].name)))
				return ksplice_str(ksplice_units(a)[i].name);
	return NULL;
}

/* The same for the members of both that take part in any batch. */
static const char *ksplice_common_unit_of(const struct ksplice_update *update,
					  const struct ksplice_update *other)
{
	const struct ksplice_member *a, *b;
	const char *name = NULL;

	list_for_each_entry(a, &update->members, list)
		list_for_each_entry(b, &other->members, list)
			if (!name && a->batch && b->batch)
				name = ksplice_common_unit(a->object, b->object);
	return name;
}

/* Compares the update, whose members have their batches by now, with one that is applied. 0, or aborts. */
static int ksplice_compare(struct ksplice_update *update, const struct ksplice_batch *other)
{
	const struct ksplice_batch *batch;
	const char *unit = ksplice_common_unit_of(update, other->update);
	const struct ksplice_body *body;

	if (unit)
		return ksplice_abort(update, KSPLICE_CONFLICT,
				     "update %s changed %s, too, and this one was compiled for that as it was",
				     other->update->id, unit);
	body = ksplice_misled_update(update, other);
	if (body)
		return ksplice_abort(update, KSPLICE_CONFLICT,
				     "update %s gave %s other parameters, and the new code of this one calls it as it was",
				     other->update->id, ksplice_str(body->function->name));
	list_for_each_entry(batch, &update->batches, list) {
		body = batch->fresh ? ksplice_misled_update(other->update, batch) : NULL;
		if (body)
			return ksplice_abort(update, KSPLICE_CONFLICT,
					     "it gives %s other parameters, and the new code of update %s calls it as it was",
					     ksplice_str(body->function->name), other->update->id);
	}
	return 0;
}

/* The same with all that are applied, but for those that one of the two was made on top of. */
int ksplice_check_independent(struct ksplice_update *update)
{
	const struct ksplice_batch *other;
	int ret = 0;

	list_for_each_entry(other, &ksplice_batches, all)
		if (!ret && other->update != update && !ksplice_made_on(update, other->update) &&
		    !ksplice_made_on(other->update, update))
			ret = ksplice_compare(update, other);
	return ret;
}
