// SPDX-License-Identifier: GPL-2.0
// Objects of the module's own, and the ways in which an address gets into them: stored, copied, returned, passed,
// computed, hidden.
#include <linux/list.h>
#include <linux/percpu.h>
#include <linux/rbtree.h>
#include <linux/static_call.h>

#include "giver.h"

typedef void (*handler)(int *hits);
struct ops { handler first, second; const char *name; };
struct holder { int before; struct ops inner; struct list_head link; };

static noinline void old_handler(int *hits) { ++*hits; }
#define NEW_HANDLER(name) static noinline void name##_new(int *hits) { *hits += 1000; }
#define POKE_HANDLER(name, pointer) POKE(name) { handler h = (pointer); if (h) h(&name##_hits); }

HITS(own_pointer);
handler own_pointer_live = old_handler;
#ifdef PATCH_own_pointer
NEW_HANDLER(own_pointer)
#endif
GIVE(own_pointer)
{
#ifdef PATCH_own_pointer
	own_pointer_live = own_pointer_new;
#endif
	barrier();
}
POKE_HANDLER(own_pointer, READ_ONCE(own_pointer_live))

HITS(ops_table);
static const struct ops ops_table_old = { old_handler, old_handler, "old" };
const struct ops *ops_table_live = &ops_table_old;
#ifdef PATCH_ops_table
NEW_HANDLER(ops_table)
static const struct ops ops_table_after = { ops_table_new, ops_table_new, "new" };
#endif
GIVE(ops_table)
{
#ifdef PATCH_ops_table
	WRITE_ONCE(ops_table_live, &ops_table_after);
#endif
	barrier();
}
POKE_HANDLER(ops_table, READ_ONCE(ops_table_live)->second)

/* The table itself stays in the update; its content is copied into live memory. */
HITS(copied_struct);
struct ops copied_struct_live = { old_handler, old_handler, "old" };
#ifdef PATCH_copied_struct
NEW_HANDLER(copied_struct)
#endif
GIVE(copied_struct)
{
#ifdef PATCH_copied_struct
	copied_struct_live = (struct ops){ copied_struct_new, old_handler, "new" };
#endif
	barrier();
}
POKE_HANDLER(copied_struct, READ_ONCE(copied_struct_live.first))

HITS(copied_table);
struct ops *copied_table_live;
#ifdef PATCH_copied_table
NEW_HANDLER(copied_table)
static const struct ops copied_table_from[4] = {
	{ old_handler, old_handler, "a" }, { old_handler, copied_table_new, "b" },
	{ old_handler, old_handler, "c" }, { copied_table_new, old_handler, "d" },
};
#endif
GIVE(copied_table)
{
	copied_table_live = kzalloc(4 * sizeof(struct ops), GFP_KERNEL);
#ifdef PATCH_copied_table
	memcpy(copied_table_live, copied_table_from, sizeof(copied_table_from));
#endif
	barrier();
}
POKE_HANDLER(copied_table, copied_table_live ? copied_table_live[3].first : NULL)

HITS(duplicate);
struct ops *duplicate_live;
#ifdef PATCH_duplicate
NEW_HANDLER(duplicate)
static struct ops duplicate_from = { duplicate_new, old_handler, "new" };
#endif
GIVE(duplicate)
{
#ifdef PATCH_duplicate
	duplicate_live = kmemdup(&duplicate_from, sizeof(duplicate_from), GFP_KERNEL);
#else
	duplicate_live = kzalloc(sizeof(*duplicate_live), GFP_KERNEL);
#endif
}
POKE_HANDLER(duplicate, duplicate_live ? duplicate_live->first : NULL)

/* The function that changes only returns the address; one that stays stores it. */
HITS(returned);
handler returned_live;
static noinline handler returned_choose(void)
{
	return returned_live;
}
#ifdef PATCH_returned
NEW_HANDLER(returned)
static noinline handler returned_other(void)
{
	return returned_new;
}
#endif
GIVE(returned)
{
#ifdef PATCH_returned
	WRITE_ONCE(returned_live, returned_other());
#else
	WRITE_ONCE(returned_live, returned_choose());
#endif
}
POKE_HANDLER(returned, READ_ONCE(returned_live))

HITS(out_parameter);
handler out_parameter_live;
static noinline void out_parameter_get(handler *out) { *out = out_parameter_live; }
#ifdef PATCH_out_parameter
NEW_HANDLER(out_parameter)
static noinline void out_parameter_other(handler *out) { *out = out_parameter_new; }
#endif
GIVE(out_parameter)
{
	handler local = NULL;

#ifdef PATCH_out_parameter
	out_parameter_other(&local);
#else
	out_parameter_get(&local);
#endif
	WRITE_ONCE(out_parameter_live, local);
}
POKE_HANDLER(out_parameter, READ_ONCE(out_parameter_live))

/* A function of the module as it is stores what it is given; the last call of the patched one. */
HITS(tail_call);
handler tail_call_live;
static noinline void tail_call_set(handler h) { WRITE_ONCE(tail_call_live, h); }
#ifdef PATCH_tail_call
NEW_HANDLER(tail_call)
#endif
GIVE(tail_call)
{
#ifdef PATCH_tail_call
	tail_call_set(tail_call_new);
#else
	tail_call_set(old_handler);
#endif
}
POKE_HANDLER(tail_call, READ_ONCE(tail_call_live))

HITS(through_pointer);
handler through_pointer_live;
static noinline void through_pointer_set(handler h) { WRITE_ONCE(through_pointer_live, h); }
static void (*through_pointer_setter)(handler h) = through_pointer_set;
#ifdef PATCH_through_pointer
NEW_HANDLER(through_pointer)
#endif
GIVE(through_pointer)
{
	void (*setter)(handler h) = READ_ONCE(through_pointer_setter);

#ifdef PATCH_through_pointer
	setter(through_pointer_new);
#else
	setter(old_handler);
#endif
}
POKE_HANDLER(through_pointer, READ_ONCE(through_pointer_live))

/* A structure on the stack carries it to who copies it. */
HITS(in_struct);
struct ops in_struct_live;
static noinline void in_struct_keep(const struct ops *from) { in_struct_live = *from; }
#ifdef PATCH_in_struct
NEW_HANDLER(in_struct)
#endif
GIVE(in_struct)
{
	struct ops local = { old_handler, old_handler, "stack" };

#ifdef PATCH_in_struct
	local.second = in_struct_new;
#endif
	in_struct_keep(&local);
}
POKE_HANDLER(in_struct, READ_ONCE(in_struct_live.second))

HITS(exchanged);
handler exchanged_live = old_handler;
#ifdef PATCH_exchanged
NEW_HANDLER(exchanged)
#endif
GIVE(exchanged)
{
#ifdef PATCH_exchanged
	xchg(&exchanged_live, exchanged_new);
#endif
	barrier();
}
POKE_HANDLER(exchanged, READ_ONCE(exchanged_live))

HITS(compared);
handler compared_live = old_handler;
#ifdef PATCH_compared
NEW_HANDLER(compared)
#endif
GIVE(compared)
{
#ifdef PATCH_compared
	cmpxchg(&compared_live, old_handler, compared_new);
#endif
	barrier();
}
POKE_HANDLER(compared, READ_ONCE(compared_live))

HITS(hidden);
unsigned long hidden_live;
#ifdef PATCH_hidden
NEW_HANDLER(hidden)
#endif
GIVE(hidden)
{
#ifdef PATCH_hidden
	hidden_live = ~(unsigned long)hidden_new;
#else
	hidden_live = ~(unsigned long)old_handler;
#endif
}
POKE_HANDLER(hidden, hidden_live ? (handler)~hidden_live : NULL)

HITS(difference);
long difference_live;
#ifdef PATCH_difference
NEW_HANDLER(difference)
#endif
GIVE(difference)
{
#ifdef PATCH_difference
	difference_live = (unsigned long)difference_new - (unsigned long)old_handler;
#endif
	barrier();
}
POKE_HANDLER(difference, (handler)((unsigned long)old_handler + READ_ONCE(difference_live)))

HITS(tagged);
unsigned long tagged_live;
#ifdef PATCH_tagged
static int tagged_data[4];
#endif
GIVE(tagged)
{
#ifdef PATCH_tagged
	tagged_live = (unsigned long)&tagged_data[1] | 1;
#else
	tagged_hits++;
#endif
}
POKE(tagged)
{
	int *data = (int *)(tagged_live & ~1UL);

	if (data)
		tagged_hits += 1000 + ++*data;
}

HITS(chosen);
handler chosen_live;
#ifdef PATCH_chosen
static noinline void chosen_one(int *hits) { *hits += 1000; }
static noinline void chosen_two(int *hits) { *hits += 2000; }
static const handler chosen_of[] = { chosen_one, chosen_two, chosen_one, chosen_two };
#endif
GIVE(chosen)
{
#ifdef PATCH_chosen
	chosen_live = chosen_of[chosen_hits & 3];
#else
	chosen_hits++;
#endif
}
POKE_HANDLER(chosen, READ_ONCE(chosen_live))

HITS(percpu_pointer);
handler __percpu *percpu_pointer_live;
#ifdef PATCH_percpu_pointer
NEW_HANDLER(percpu_pointer)
#endif
GIVE(percpu_pointer)
{
	int cpu;

	if (!percpu_pointer_live)
		percpu_pointer_live = alloc_percpu(handler);
	for_each_possible_cpu(cpu) {
#ifdef PATCH_percpu_pointer
		*per_cpu_ptr(percpu_pointer_live, cpu) = percpu_pointer_new;
#else
		*per_cpu_ptr(percpu_pointer_live, cpu) = old_handler;
#endif
	}
}
POKE_HANDLER(percpu_pointer, *raw_cpu_ptr(percpu_pointer_live))

HITS(this_cpu);
handler __percpu *this_cpu_live;
#ifdef PATCH_this_cpu
NEW_HANDLER(this_cpu)
#endif
GIVE(this_cpu)
{
	if (!this_cpu_live)
		this_cpu_live = alloc_percpu(handler);
#ifdef PATCH_this_cpu
	this_cpu_write(*this_cpu_live, this_cpu_new);
#else
	this_cpu_hits++;
#endif
}
POKE(this_cpu)
{
	int cpu;

	for_each_possible_cpu(cpu)
		if (*per_cpu_ptr(this_cpu_live, cpu))
			(*per_cpu_ptr(this_cpu_live, cpu))(&this_cpu_hits);
}

/* A node of the update in a live list. */
HITS(list_node);
LIST_HEAD(list_node_live);
#ifdef PATCH_list_node
static struct holder list_node_new = { .inner.first = old_handler, .before = 1000 };
#endif
GIVE(list_node)
{
#ifdef PATCH_list_node
	list_add(&list_node_new.link, &list_node_live);
#endif
	barrier();
}
POKE(list_node)
{
	struct holder *holder;

	list_for_each_entry(holder, &list_node_live, link)
		list_node_hits += holder->before;
}

HITS(tree_node);
struct rb_root tree_node_live = RB_ROOT;
#ifdef PATCH_tree_node
static struct rb_node tree_node_new;
#endif
GIVE(tree_node)
{
#ifdef PATCH_tree_node
	rb_link_node(&tree_node_new, NULL, &tree_node_live.rb_node);
	rb_insert_color(&tree_node_new, &tree_node_live);
#endif
	barrier();
}
POKE(tree_node)
{
	struct rb_node *node;

	for (node = rb_first(&tree_node_live); node; node = rb_next(node))
		tree_node_hits += 1000;
}

/* A pointer to a member; the poke goes from it to the whole, and from there to the function. */
HITS(container);
struct ops *container_live;
#ifdef PATCH_container
NEW_HANDLER(container)
static struct holder container_whole = { .inner = { container_new, old_handler, "new" } };
#endif
GIVE(container)
{
#ifdef PATCH_container
	container_live = &container_whole.inner;
#else
	container_hits++;
#endif
}
POKE(container)
{
	if (container_live)
		container_of(container_live, struct holder, inner)->inner.first(&container_hits);
}

/* A text of the update in live memory. */
HITS(words);
const char *words_live = "as it was";
GIVE(words)
{
#ifdef PATCH_words
	words_live = "as it is with the patch";
#endif
	barrier();
}
POKE(words) { words_hits += words_live[0] == 'a' && strlen(words_live) > 10 ? 1000 : 1; }

/* An update's own static in a function. */
HITS(static_local);
int *static_local_live = &static_local_hits;
GIVE(static_local)
{
#ifdef PATCH_static_local
	static int counter;

	static_local_live = &counter;
	static_local_hits += 1000;
#endif
	++*static_local_live;
}
POKE(static_local) { ++*static_local_live; static_local_hits++; }

HITS(static_call);
static noinline int static_call_old(void) { return 1; }
DEFINE_STATIC_CALL(giver_call, static_call_old);
#ifdef PATCH_static_call
static noinline int static_call_new(void) { return 1000; }
#endif
GIVE(static_call)
{
#ifdef PATCH_static_call
	static_call_update(giver_call, static_call_new);
#else
	static_call_hits++;
#endif
}
POKE(static_call) { static_call_hits += static_call(giver_call)(); }

/* Nothing is given away: used and forgotten. */
HITS(printed);
static noinline void printed_call(handler h) { h(&printed_hits); }
#ifdef PATCH_printed
NEW_HANDLER(printed)
#endif
GIVE(printed)
{
#ifdef PATCH_printed
	pr_info("a new text\n");
	printed_new(&printed_hits);
#else
	printed_call(old_handler);
#endif
}
POKE(printed) { printed_call(old_handler); }

static const struct giver givers[] = {
	GIVER(own_pointer), GIVER(ops_table), GIVER(copied_struct), GIVER(copied_table), GIVER(duplicate),
	GIVER(returned), GIVER(out_parameter), GIVER(tail_call), GIVER(through_pointer), GIVER(in_struct),
	GIVER(exchanged), GIVER(compared), GIVER(hidden), GIVER(difference), GIVER(tagged), GIVER(chosen),
	GIVER(percpu_pointer), GIVER(this_cpu), GIVER(list_node), GIVER(tree_node), GIVER(container), GIVER(words),
	GIVER(static_local), GIVER(static_call), GIVER(printed),
};
GIVERS(live);
