// SPDX-License-Identifier: GPL-2.0
/*
 * A part of trace.bpf.c: whether the arguments of a call meet the condition that was declared for its function
 * (trace_abi.h). Memory is read where pointers lead, by bpf_probe_read_kernel(), which fails where there is
 * none, and never faults.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, TRACE_FUNCTIONS);
	__type(key, __u32);
	__type(value, struct trace_tripwire);
} tripwires SEC(".maps");

/* What a call is compared with, and in: a BPF program's own stack is small. */
struct comparison {
	__u64 arguments[8];	/* TRACE_ARGUMENTS of them; a power of two, for the verifier */
	__u64 compared;
	__u64 values[TRACE_TERMS];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct comparison);
} comparisons SEC(".maps");

/* The bits of value that count, as a number of eight bytes. */
static __always_inline __u64 extend(__u64 value, const struct trace_term *term)
{
	__u32 unused = (64 - term->bits) & 63;

	value <<= (unused - term->shift) & 63;
	return term->is_signed ? (__u64)((__s64)value >> unused) : value >> unused;
}

/* Returns whether the value could be read. */
static __always_inline int read_operand(const struct comparison *call, const struct trace_term *term,
					__u64 *result)
{
	__u64 value = call->arguments[term->argument & 7];
	__u32 step;
	long error;

	for (step = 0; step < TRACE_STEPS && step < term->steps; step++) {
		const void *place = (const void *)(value + term->offsets[step]);

		value = 0;
		if (step + 1 < term->steps || term->size == 8)
			error = bpf_probe_read_kernel(&value, 8, place);
		else if (term->size == 4)
			error = bpf_probe_read_kernel(&value, 4, place);
		else if (term->size == 2)
			error = bpf_probe_read_kernel(&value, 2, place);
		else
			error = bpf_probe_read_kernel(&value, 1, place);
		if (error)
			return 0;
	}
	*result = extend(value, term);
	return 1;
}

static __always_inline int is_met(const struct trace_term *term, __u64 value)
{
	__s64 number = value, limit = term->value;

	switch (term->op) {
	case TRACE_EQUAL:
		return value == term->value;
	case TRACE_NOT_EQUAL:
		return value != term->value;
	case TRACE_LESS:
		return term->is_signed ? number < limit : value < term->value;
	case TRACE_LESS_OR_EQUAL:
		return term->is_signed ? number <= limit : value <= term->value;
	case TRACE_GREATER:
		return term->is_signed ? number > limit : value > term->value;
	case TRACE_GREATER_OR_EQUAL:
		return term->is_signed ? number >= limit : value >= term->value;
	default:
		return (value & term->value) != 0;
	}
}

/* Each call passes the original's entry, also of those that a jump leads on. */
static __always_inline void check_tripwire(struct pt_regs *ctx, struct trace_counts *count, __u32 function)
{
	const struct trace_tripwire *wire = bpf_map_lookup_elem(&tripwires, &function);
	__u32 zero = 0, i;
	struct comparison *call = bpf_map_lookup_elem(&comparisons, &zero);
	struct trace_event *event;
	int holds = 0, unread = 0;

	if (!wire || !wire->terms || !call || !what_counts())
		return;
	/* All at once: of a choice the compiler would make a computed place in ctx, which may not be read. */
	call->arguments[0] = PT_REGS_PARM1(ctx);
	call->arguments[1] = PT_REGS_PARM2(ctx);
	call->arguments[2] = PT_REGS_PARM3(ctx);
	call->arguments[3] = PT_REGS_PARM4(ctx);
	call->arguments[4] = PT_REGS_PARM5(ctx);
	call->arguments[5] = ctx->r9;
	for (i = 0; i < TRACE_TERMS; i++) {
		const struct trace_term *term = &wire->term[i];
		__u64 value = 0;

		if (i >= wire->terms || (holds && term->is_first))
			break;
		if (term->is_first) {
			holds = 1;
			call->compared = 0;
		}
		if (!holds)
			continue;
		if (!read_operand(call, term, &value)) {
			unread = 1;
			holds = 0;
			continue;
		}
		call->compared |= 1ULL << i;
		call->values[i] = value;
		holds = is_met(term, value);
	}
	if (!holds) {
		count->unread += unread;
		return;
	}
	count->trips++;
	count_process(count, function, 0, 0, 1);
	event = reserve_event(TRACE_EVENT_TRIP, function);
	if (!event)
		return;
	event->compared = call->compared;
	__builtin_memcpy(event->values, call->values, sizeof(event->values));
	bpf_ringbuf_submit(event, 0);
}
