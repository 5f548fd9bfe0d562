// SPDX-License-Identifier: GPL-2.0
/*
 * Counts the calls of the traced functions in the kernel; trace_abi.h says what. Three programs, each
 * attached to any number of functions by kprobe; the cookie says to which. They read registers and
 * stacks only, no structure of the kernel, so that they need none of its types (BTF).
 *
 * Kprobes rather than fentry and fexit: these need types of each function, which the new body in an
 * update's module has none of, and 6.1 shuts ftrace down where both meet a redirected function.
 * Rather than kprobe.multi: Debian's 6.1 has none, and it keeps a module from being unloaded, which
 * would be in the way of an undo.
 *
 * One BPF program runs on a processor at a time, and with preemption off, so that what is per
 * processor needs no atomics.
 */
#include <linux/bpf.h>
#include <asm/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "trace_abi.h"

char trace_license[] SEC("license") = "GPL";

/* The entries stay when a call has returned: the next one at the same place takes its entry over. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, TRACE_SLOTS);
	__type(key, struct trace_slot_key);
	__type(value, struct trace_slot);
} slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, TRACE_FUNCTIONS);
	__type(key, __u32);
	__type(value, struct trace_counts);
} counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, TRACE_FUNCTIONS * TRACE_BODIES);
	__type(key, __u32);
	__type(value, struct trace_latency);
} latencies SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, TRACE_ROWS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct trace_process_key);
	__type(value, struct trace_process);
} processes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, TRACE_ROWS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct trace_result_key);
	__type(value, __u64);
} results SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_STACK_TRACE);
	__uint(max_entries, TRACE_ROWS);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, TRACE_FRAMES * sizeof(__u64));
} stacks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, TRACE_ROWS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct trace_stack_key);
	__type(value, struct trace_stack);
} stack_calls SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct trace_budget);
} budget SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, TRACE_EVENTS);
} events SEC(".maps");

/* Returns the place in the queue, for the rest to be filled in; NULL if it is full. */
static __always_inline struct trace_event *reserve_event(__u32 kind, __u32 function)
{
	struct trace_event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);

	if (!event)
		return 0;
	__builtin_memset(event, 0, sizeof(*event));
	event->kind = kind;
	event->function = function;
	event->pid = bpf_get_current_pid_tgid() >> 32;
	event->uid = bpf_get_current_uid_gid();
	event->time = bpf_ktime_get_ns();
	bpf_get_current_comm(event->name, sizeof(event->name));
	return event;
}

/* Who reads /proc may still find it there. */
static __always_inline void tell_process(__u32 function)
{
	struct trace_event *event = reserve_event(TRACE_EVENT_PROCESS, function);

	if (event)
		bpf_ringbuf_submit(event, 0);
}

static __always_inline void count_process(struct trace_counts *count, __u32 function, __u64 calls,
					  __u64 new_calls, __u64 trips)
{
	struct trace_process_key key = { function, bpf_get_current_pid_tgid() >> 32 };
	struct trace_process *process = bpf_map_lookup_elem(&processes, &key);

	if (process) {
		process->calls += calls;
		process->new_calls += new_calls;
		process->trips += trips;
	} else {
		struct trace_process first = { .calls = calls, .new_calls = new_calls, .trips = trips };

		bpf_get_current_comm(first.name, sizeof(first.name));
		if (bpf_map_update_elem(&processes, &key, &first, BPF_ANY))
			count->unlisted += calls;
	}
}

static __always_inline int is_stack_wanted(struct trace_counts *count, __u64 now)
{
	__u32 zero = 0;
	struct trace_budget *left = bpf_map_lookup_elem(&budget, &zero);

	if (!left)
		return 0;
	if (now - left->since >= 1000000000) {
		left->since = now;
		left->taken = 0;
	}
	if (left->taken >= TRACE_STACK_BUDGET)
		return count->calls % TRACE_STACK_EVERY == 0;
	left->taken++;
	return 1;
}

/* Returns the id of the stack. */
static __always_inline __u32 count_stack(struct pt_regs *ctx, struct trace_counts *count,
					 __u32 function, __u64 body)
{
	struct trace_stack_key key = { .function = function };
	struct trace_stack *found, first = { 1, body };
	long stack = bpf_get_stackid(ctx, &stacks, 0);

	count->stacks++;
	if (stack < 0) {
		count->no_stack++;
		return TRACE_NO_STACK;
	}
	key.stack = stack;
	found = bpf_map_lookup_elem(&stack_calls, &key);
	if (found) {
		found->calls++;
		found->new_calls += body;
	} else if (bpf_map_update_elem(&stack_calls, &key, &first, BPF_ANY)) {
		count->no_stack++;
		return TRACE_NO_STACK;
	}
	return stack;
}

/* The call goes on in the new body; its task may have moved to a processor whose copy is not there yet. */
static __always_inline void move_stack(__u32 function, __u32 stack)
{
	struct trace_stack_key key = { function, stack };
	struct trace_stack *found, first = { 0, 1 };

	if (stack == TRACE_NO_STACK)
		return;
	found = bpf_map_lookup_elem(&stack_calls, &key);
	if (found)
		found->new_calls++;
	else
		bpf_map_update_elem(&stack_calls, &key, &first, BPF_ANY);
}

/*
 * Is it the time that is measured? Probes come and go one after the other, which takes long. Calls that have
 * begun in that time go on to count.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} counting SEC(".maps");

static __always_inline __u32 what_counts(void)
{
	__u32 zero = 0, *on = bpf_map_lookup_elem(&counting, &zero);

	return on && (*on & TRACE_COUNT) ? *on : 0;
}

struct {
	__uint(type, BPF_MAP_TYPE_STACK_TRACE);
	__uint(max_entries, TRACE_ROWS);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, TRACE_FRAMES * sizeof(__u64));
} user_stacks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, TRACE_ROWS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct trace_user_key);
	__type(value, struct trace_stack);
} user_calls SEC(".maps");

/* From where in which program the call comes. */
static __always_inline void count_user(struct pt_regs *ctx, struct trace_counts *count, __u32 function,
				       __u64 body, struct trace_slot *slot)
{
	struct trace_user_key key = { function, bpf_get_current_pid_tgid() >> 32, TRACE_NO_STACK,
				      slot->stack };
	struct trace_stack *found, first = { 1, body };
	long stack = bpf_get_stackid(ctx, &user_stacks, BPF_F_USER_STACK);

	if (stack >= 0)
		key.user_stack = stack;
	slot->user_stack = key.user_stack;
	slot->user_is_counted = 1;
	found = bpf_map_lookup_elem(&user_calls, &key);
	if (found) {
		found->calls++;
		found->new_calls += body;
		return;
	}
	tell_process(function);
	if (bpf_map_update_elem(&user_calls, &key, &first, BPF_ANY)) {
		slot->user_is_counted = 0;
		count->no_user++;
	}
}

/* As move_stack(). */
static __always_inline void move_user(__u32 function, struct trace_slot *slot)
{
	struct trace_user_key key = { function, bpf_get_current_pid_tgid() >> 32, slot->user_stack,
				      slot->stack };
	struct trace_stack *found, first = { 0, 1 };

	if (!slot->user_is_counted)
		return;
	found = bpf_map_lookup_elem(&user_calls, &key);
	if (found)
		found->new_calls++;
	else
		bpf_map_update_elem(&user_calls, &key, &first, BPF_ANY);
}

/* The call is one that no probe has seen yet. */
static __always_inline void begin(struct pt_regs *ctx, struct trace_counts *count,
				  struct trace_slot_key *key, struct trace_slot *slot, __u64 body)
{
	struct trace_slot first = { .body = body, .stack = TRACE_NO_STACK };
	__u32 wanted = what_counts();

	if (!wanted) {
		if (slot)
			slot->start = 0;	/* of a call that returned unseen */
		return;
	}
	count->calls++;
	count->new_calls += body;
	count_process(count, key->function, 1, body, 0);
	if (is_stack_wanted(count, bpf_ktime_get_ns())) {
		first.stack = count_stack(ctx, count, key->function, body);
		if (wanted & TRACE_USERS)
			count_user(ctx, count, key->function, body, &first);
	}
	/* Only now: what was done until here is not of the function. */
	first.start = bpf_ktime_get_ns();
	if (slot)
		*slot = first;
	else
		bpf_map_update_elem(&slots, key, &first, BPF_ANY);
}

#include "trace_tripwire.bpf.c"

/* At the entry of the original function, which each call passes. */
SEC("kprobe")
int enter_old(struct pt_regs *ctx)
{
	struct trace_slot_key key = { PT_REGS_SP(ctx),
				      bpf_get_attach_cookie(ctx) & TRACE_COOKIE_FUNCTION };
	__u32 function = key.function;
	struct trace_counts *count = bpf_map_lookup_elem(&counts, &function);

	if (!count)
		return 0;
	begin(ctx, count, &key, bpf_map_lookup_elem(&slots, &key), TRACE_OLD);
	check_tripwire(ctx, count, function);
	return 0;
}

/* At the entry of the new body: the same call goes on, or the update's own code calls it. */
SEC("kprobe")
int enter_new(struct pt_regs *ctx)
{
	struct trace_slot_key key = { PT_REGS_SP(ctx),
				      bpf_get_attach_cookie(ctx) & TRACE_COOKIE_FUNCTION };
	__u32 function = key.function;
	struct trace_counts *count = bpf_map_lookup_elem(&counts, &function);
	struct trace_slot *slot = bpf_map_lookup_elem(&slots, &key);

	if (!count)
		return 0;
	if (!slot || !slot->start) {
		begin(ctx, count, &key, slot, TRACE_NEW);
	} else if (slot->body == TRACE_OLD) {
		slot->body = TRACE_NEW;
		count->new_calls++;
		count_process(count, function, 0, 1, 0);
		move_stack(function, slot->stack);
		move_user(function, slot);
	}
	return 0;
}

static __always_inline __s64 result_of(__u64 value, __u64 cookie)
{
	if (cookie & TRACE_COOKIE_POINTER)
		return !value || value >= (__u64)-4095 ? value : TRACE_A_POINTER;
	switch (cookie >> TRACE_COOKIE_SIZE_SHIFT) {
	case 1:
		return cookie & TRACE_COOKIE_SIGNED ? (__s64)(__s8)value : (__s64)(__u8)value;
	case 2:
		return cookie & TRACE_COOKIE_SIGNED ? (__s64)(__s16)value : (__s64)(__u16)value;
	case 4:
		return cookie & TRACE_COOKIE_SIGNED ? (__s64)(__s32)value : (__s64)(__u32)value;
	default:
		return value;
	}
}

static __always_inline __u32 bucket_of(__u64 value)
{
	__u32 bucket = 0, step;

	/* The number of the highest bit; a loop would be as long as that. */
	for (step = 32; step; step /= 2)
		if (value >> step) {
			value >>= step;
			bucket += step;
		}
	return bucket < TRACE_BUCKETS ? bucket : TRACE_BUCKETS - 1;
}

/*
 * Where a function returns to, be it the original or the new body. Of a call that passed both, the
 * new body's probe is met first, and the other one finds it done.
 */
SEC("kretprobe")
int leave(struct pt_regs *ctx)
{
	__u64 cookie = bpf_get_attach_cookie(ctx), now = bpf_ktime_get_ns(), time;
	/* The return address is off the stack. */
	struct trace_slot_key key = { PT_REGS_SP(ctx) - 8, cookie & TRACE_COOKIE_FUNCTION };
	struct trace_slot *slot = bpf_map_lookup_elem(&slots, &key);
	__u32 function = key.function, row, bucket;
	struct trace_counts *count = bpf_map_lookup_elem(&counts, &function);
	struct trace_latency *latency;
	struct trace_result_key result = { .function = function };
	__u64 *calls, one = 1;

	if (!count)
		return 0;
	if (!slot || !slot->start)
		return 0;
	time = now > slot->start ? now - slot->start : 0;
	result.body = slot->body & 1;
	slot->start = 0;
	row = function * TRACE_BODIES + result.body;
	latency = bpf_map_lookup_elem(&latencies, &row);
	if (!latency)
		return 0;
	latency->returned++;
	latency->total += time;
	if (time > latency->longest)
		latency->longest = time;
	bucket = bucket_of(time);
	if (bucket < TRACE_BUCKETS)
		latency->buckets[bucket]++;
	if (cookie & TRACE_COOKIE_VOID)
		return 0;
	result.value = result_of(PT_REGS_RC(ctx), cookie);
	calls = bpf_map_lookup_elem(&results, &result);
	if (calls)
		++*calls;
	else if (bpf_map_update_elem(&results, &result, &one, BPF_ANY))
		count->no_result++;
	return 0;
}
