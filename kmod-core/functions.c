// SPDX-License-Identifier: GPL-2.0
/*
 * The text of the file "functions": a line for each function of an update, in the format that the head
 * of sysfs.c describes.
 */
#include <linux/kernel.h>

#include "core.h"

static const struct ksplice_body *ksplice_body_of(const struct ksplice_member *member,
						  const struct ksplice_function *function)
{
	unsigned int i;

	for (i = 0; member->batch && i < member->batch->nr_bodies; i++)
		if (member->batch->bodies[i].function == function)
			return &member->batch->bodies[i];
	return NULL;
}

static void ksplice_print_function(struct ksplice_text *text, const struct ksplice_member *member,
				   const struct ksplice_function *function)
{
	const struct ksplice_body *body = ksplice_body_of(member, function);
	const char *redirect = "-", *why = body && body->why ? body->why : "";
	char calls[24] = "-", over[64] = "", owner[KSYM_NAME_LEN];

	if (body && body->calls)
		snprintf(calls, sizeof(calls), "%llu", ksplice_calls(body));
	if (body)
		redirect = body->jump_size ? "jump" : "handler";
	if (body && body->jump_size && ksplice_describe_rival(body, owner, sizeof(owner))) {
		snprintf(over, sizeof(over), "overridden by %s", owner);
		why = over;
	}
	text->len += scnprintf(text->buf + text->len, text->size - text->len,
			       "%s 0x%llx 0x%llx %s %s %s%s%s\n", ksplice_str(function->name),
			       ksplice_function_run(function)->addr, function->new_addr, calls,
			       ksplice_str(member->object->target), redirect, *why ? " " : "", why);
}

/* The text, for kvfree(); NULL if there is no memory. */
char *ksplice_print_functions(const struct ksplice_update *update, size_t *length)
{
	const struct ksplice_member *member;
	struct ksplice_text text = { .size = 1 };
	u32 i;

	list_for_each_entry(member, &update->members, list)
		for (i = 0; i < member->object->nr_functions; i++)
			text.size += strlen(ksplice_str(ksplice_functions(member->object)[i].name)) +
				     strlen(ksplice_str(member->object->target)) + 160;
	text.buf = ksplice_alloc(text.size);
	if (!text.buf)
		return NULL;
	list_for_each_entry(member, &update->members, list)
		for (i = 0; i < member->object->nr_functions; i++)
			ksplice_print_function(&text, member,
					       &ksplice_functions(member->object)[i]);
	*length = text.len;
	return text.buf;
}
