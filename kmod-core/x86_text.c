// SPDX-License-Identifier: GPL-2.0
/*
 * What a range of code may look like that the kernel rewrites itself: one of the variants that the
 * maker of the update knows, or, by its kind, what the kernel makes of it at run time. Forms are
 * those of arch/x86/kernel/alternative.c, static_call.c, ftrace.c and paravirt.c of 6.1, 6.12 and 7.3:
 *
 *	ftrace		0f 1f 44 00 00, or e8 or e9 to a trampoline of ftrace or BPF
 *	static call	call, jmp or jcc as before to key->func; if that is null: nop5, ret; if it
 *			returns 0: xor %eax,%eax; if it is __WARN_trap: ud1 (%edx),%rdi; if it is the
 *			native unlock: movb $0,(%rdi)
 *	paravirt	e8 to the function in the pv_ops slot, or nops if that does nothing
 *	retpoline	[cs] call/jmp thunk of the register; [lfence] call/jmp *%reg, in 7.3 with up to
 *			three cs before a call to fill it up; call/jmp to an ITS thunk
 *	return thunk	ret, int3...; jmp to one of the kernel's return thunks
 *	runtime const	the value of a variable (arch/x86/include/asm/runtime-const.h), or what another
 *			place in code holds
 *
 * And any direct call, in a range or not: with call depth tracking (retbleed=stuff, since 6.2) it
 * leads to the instruction that counts it, which callthunks.c has written just before the function.
 */
#include <linux/ftrace.h>
#include <linux/kallsyms.h>
#include <linux/static_call_types.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "core.h"

static const u8 ksplice_nop5[] = { 0x0f, 0x1f, 0x44, 0x00, 0x00 };

/* What static_call.c writes in place of a call of these functions. */
static const struct {
	u8 bytes[5];
	const char *function;
} ksplice_inlined[] = {
	{ { 0x2e, 0x2e, 0x2e, 0x31, 0xc0 }, "__static_call_return0" },
	{ { 0x67, 0x48, 0x0f, 0xb9, 0x3a }, "__WARN_trap" },	/* since 6.19 */
	{ { 0x3e, 0x3e, 0xc6, 0x07, 0x00 }, "__raw_callee_save___native_queued_spin_unlock" },
};

/* Length of the nop at p, 0 if there is none within n bytes. */
static unsigned int ksplice_nop_length(const u8 *p, unsigned int n)
{
	unsigned int i = 0, length;

	while (i < n && (p[i] == 0x66 || p[i] == 0x2e))
		i++;
	if (i < n && p[i] == 0x90)
		return i + 1;
	if (i + 3 > n || p[i] != 0x0f || p[i + 1] != 0x1f)
		return 0;
	length = i + 3;
	if ((p[i + 2] & 7) == 4 && p[i + 2] < 0xc0)	/* a SIB byte */
		length++;
	if (p[i + 2] >> 6 == 1)
		length += 1;
	else if (p[i + 2] >> 6 == 2)
		length += 4;
	return length <= n ? length : 0;
}

/* Nops, int3, and jumps over such to places inside or just at the end. */
static bool ksplice_is_padding(const u8 *p, unsigned int n)
{
	unsigned int i = 0;

	while (i < n) {
		unsigned int length = ksplice_nop_length(p + i, n - i);

		if (p[i] == 0xcc)
			length = 1;
		else if (p[i] == 0xeb && i + 2 <= n && p[i + 1] <= n - i - 2)
			length = 2;
		else if (p[i] == 0xe9 && i + 5 <= n && *(const u32 *)(p + i + 1) <= n - i - 5)
			length = 5;
		if (!length)
			return false;
		i += length;
	}
	return true;
}

/* Target of the 5-byte call or jump (opcode op) at p, which runs at addr; 0 if there is none. */
static unsigned long ksplice_target(const u8 *p, unsigned int n, u8 op, unsigned long addr)
{
	if (n < 5 || p[0] != op)
		return 0;
	return addr + 5 + *(const s32 *)(p + 1);
}

#define KSPLICE_DEPTH_SIZE 9

/* Is there "sarq $5, %gs:depth(%rip)", by which the kernel counts calls? */
static bool ksplice_is_counter(unsigned long addr)
{
	static const u8 start[] = { 0x65, 0x48, 0xc1, 0x3d };
	u8 found[KSPLICE_DEPTH_SIZE];

	return !copy_from_kernel_nofault(found, (void *)addr, sizeof(found)) &&
	       !memcmp(found, start, sizeof(start)) && found[sizeof(found) - 1] == 5;
}

/* Does a call of target reach func, by the instruction that counts the call or without? */
static bool ksplice_reaches(unsigned long target, unsigned long func)
{
	return target == func ||
	       (target + KSPLICE_DEPTH_SIZE == func && ksplice_is_counter(target));
}

/*
 * The bytes differ at this offset. Returns how many of them, from there on, are of a call that is
 * counted in live and not in bytes; 0 if it is another difference.
 */
static unsigned int ksplice_counted_call(const u8 *live, const u8 *bytes, unsigned int n,
					 unsigned int at, unsigned long addr)
{
	unsigned int call;

	for (call = at < 4 ? 0 : at - 4; call < at && call + 5 <= n; call++) {
		unsigned long target = ksplice_target(bytes + call, 5, 0xe8, addr + call);
		unsigned long counted = ksplice_target(live + call, 5, 0xe8, addr + call);

		if (target && counted && counted != target && ksplice_reaches(counted, target))
			return call + 5 - at;
	}
	return 0;
}

/* The offset of the first of n bytes, which are at addr, that is not as it should be; n if all are. */
unsigned int ksplice_match_code(const u8 *live, const u8 *bytes, unsigned int n,
				unsigned long addr)
{
	unsigned int i = 0;

	while (i < n) {
		unsigned int skipped = 1;

		if (live[i] != bytes[i])
			skipped = ksplice_counted_call(live, bytes, n, i, addr);
		if (!skipped)
			return i;
		i += skipped;
	}
	return n;
}

static bool ksplice_match_bytes(const u8 *live, unsigned int n, const u8 *bytes,
				unsigned int length, unsigned long addr)
{
	return length <= n && ksplice_match_code(live, bytes, length, addr) == length &&
	       ksplice_is_padding(live + length, n - length);
}

/* The offset of the first difference to variant 0, for the report. */
static int ksplice_where(const struct ksplice_range *range, const u8 *live)
{
	const u8 *variant = (const u8 *)(unsigned long)range->variants;
	int i;

	if (range->nr_variants)
		for (i = 0; i < variant[0]; i++)
			if (live[i] != variant[1 + i])
				return i;
	return 0;
}

static bool ksplice_match_variants(const struct ksplice_range *range, unsigned long addr,
				   const u8 *live)
{
	const u8 *variant = (const u8 *)(unsigned long)range->variants;
	unsigned int i;

	for (i = 0; i < range->nr_variants; i++, variant += 1 + range->length)
		if (ksplice_match_bytes(live, range->length, variant + 1, variant[0], addr))
			return true;
	return false;
}

static unsigned long ksplice_read_pointer(u64 addr)
{
	unsigned long value;

	if (copy_from_kernel_nofault(&value, (void *)(unsigned long)addr, sizeof(value)))
		return 0;
	return value;
}

/*
 * True if addr is the start of something that the kernel knows by a name with this beginning and
 * end: a function, or a trampoline of BPF.
 */
static bool ksplice_is_named(unsigned long addr, const char *start, const char *end)
{
	char name[KSYM_SYMBOL_LEN];
	char *offset;
	size_t length;

	sprint_symbol(name, addr);
	offset = strstr(name, "+0x0/");
	if (!offset)
		return false;
	*offset = 0;
	length = strlen(name);
	return !strncmp(name, start, strlen(start)) && length >= strlen(end) &&
	       !strcmp(name + length - strlen(end), end);
}

static bool ksplice_is_function(unsigned long addr, const char *start, const char *end)
{
	return core_kernel_text(addr) && ksplice_is_named(addr, start, end);
}

/*
 * Where ftrace lets a site call: its common entries, the trampoline that it made for one ops, or a
 * trampoline of BPF.
 */
static bool ksplice_is_ftrace_target(unsigned long target)
{
	struct ftrace_ops *ops;
	bool found = false;

	if (ksplice_is_function(target, "ftrace_", "caller") ||
	    ksplice_is_named(target, "bpf_trampoline_", "") ||
	    ksplice_is_named(target, "bpf_dispatcher_", ""))
		return true;
	preempt_disable();	/* the list is read as ftrace does: under RCU of the tasks */
	for (ops = rcu_dereference_raw(ftrace_ops_list); ops && !found;
	     ops = rcu_dereference_raw(ops->next))
		found = ops->trampoline && ops->trampoline == target;
	preempt_enable();
	return found;
}

static bool ksplice_match_ftrace(const struct ksplice_range *range, unsigned long addr,
				 const u8 *live)
{
	unsigned long target = ksplice_target(live, range->length, 0xe8, addr);

	if (!target)	/* CONFIG_DYNAMIC_FTRACE_WITH_JMP */
		target = ksplice_target(live, range->length, 0xe9, addr);
	if (range->length != 5)
		return false;
	if (!memcmp(live, ksplice_nop5, 5))
		return true;
	return target && ftrace_location(addr) == addr && ksplice_is_ftrace_target(target);
}

static bool ksplice_is_ret(const u8 *live, unsigned int n)
{
	return n >= 1 && live[0] == 0xc3 && ksplice_is_padding(live + 1, n - 1);
}

static bool ksplice_match_return_thunk(unsigned long addr, const u8 *live, unsigned int n)
{
	unsigned long target = ksplice_target(live, n, 0xe9, addr);

	return ksplice_is_ret(live, n) ||
	       (target && ksplice_is_padding(live + 5, n - 5) &&
		ksplice_is_function(target, "", "return_thunk"));
}

/* Is it what stands for a call of func? */
static bool ksplice_match_inlined(const u8 *live, unsigned long func)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ksplice_inlined); i++)
		if (!memcmp(live, ksplice_inlined[i].bytes, 5))
			return ksplice_is_function(func, ksplice_inlined[i].function,
						   ksplice_inlined[i].function);
	return false;
}

/*
 * What static_call.c makes of a site, by what the key holds now. A conditional tail call (jcc, 6
 * bytes) keeps its condition. The original is a call or jump of the trampoline.
 */
static bool ksplice_match_static_call(const struct ksplice_range *range, unsigned long addr,
				      const u8 *live)
{
	const u8 *original = (const u8 *)(unsigned long)range->variants + 1;
	unsigned int n = range->length, opcode = n - 4;
	unsigned long func = ksplice_read_pointer(range->param +
						  offsetof(struct static_call_key, func));
	unsigned long target = 0;

	if (!range->nr_variants || (n != 5 && n != 6))
		return false;
	if (!memcmp(live, original, opcode))
		target = addr + n + *(const s32 *)(live + opcode);
	if (target && func)
		return ksplice_reaches(target, func);
	if (n == 6)
		return target && (ksplice_is_function(target, "__static_call_return", "call_return") ||
				  ksplice_is_function(target, "", "return_thunk"));
	if (original[0] == 0xe8)
		return func ? ksplice_match_inlined(live, func)
			    : !memcmp(live, ksplice_nop5, 5);
	return !func && ksplice_match_return_thunk(addr, live, n);
}

/* A call of what the slot holds; nothing at all only where that is the function that does nothing. */
static bool ksplice_match_paravirt(const struct ksplice_range *range, unsigned long addr,
				   const u8 *live)
{
	unsigned long func = ksplice_read_pointer(range->param);
	unsigned long target = ksplice_target(live, range->length, 0xe8, addr);

	if (target)
		return ksplice_reaches(target, func) &&
		       ksplice_is_padding(live + 5, range->length - 5);
	return ksplice_is_padding(live, range->length) &&
	       (ksplice_is_function(func, "_paravirt_nop", "") ||
		ksplice_is_function(func, "nop_func", ""));
}

/* Bytes of "call *%reg" or "jmp *%reg"; returns their number. */
static unsigned int ksplice_indirect(u8 *bytes, unsigned int reg, bool jmp)
{
	unsigned int n = 0;

	if (reg >= 8)
		bytes[n++] = 0x41;
	bytes[n++] = 0xff;
	bytes[n++] = (jmp ? 0xe0 : 0xd0) | (reg & 7);
	return n;
}

/* A thunk for indirect branches: one of the named ones, or "jmp *%reg" in a page for ITS. */
static bool ksplice_is_thunk(unsigned long target, unsigned int reg)
{
	static const char *const names[] = { "_rax", "_rcx", "_rdx", "_rbx", "_rsp", "_rbp", "_rsi",
					     "_rdi", "_r8", "_r9", "_r10", "_r11", "_r12", "_r13",
					     "_r14", "_r15" };
	u8 bytes[3], found[3];
	unsigned int n = ksplice_indirect(bytes, reg, true);

	if (copy_from_kernel_nofault(found, (void *)target, n))
		return false;
	/* The first thunk of each kind has the name of all of them, too. */
	return !memcmp(bytes, found, n) ||
	       ksplice_is_function(target, "__x86_indirect_", names[reg]) ||
	       (!reg && ksplice_is_function(target, "__x86_indirect_", "thunk_array"));
}

static bool ksplice_match_retpoline(const struct ksplice_range *range, unsigned long addr,
				    const u8 *live)
{
	const u8 *original = (const u8 *)(unsigned long)range->variants + 1;
	bool jmp = range->param & 0x100, jcc = range->param & 0x200;
	unsigned int reg = range->param & 15;
	unsigned int n = range->length, i = 0, length, first;
	unsigned long target;
	u8 bytes[3];

	if (jcc) {
		/* Rewritten as a short jump of the opposite condition over the jmp. */
		if (n < 2 || !range->nr_variants || live[1] != n - 2 ||
		    live[0] != (0x70 | ((original[1] & 15) ^ 1)))
			return false;
		i = 2;
		jmp = true;
	}
	first = i < n && live[i] == 0x2e ? i + 1 : i;
	target = ksplice_target(live + first, n - first, jmp ? 0xe9 : 0xe8, addr + first);
	if (target)
		return ksplice_is_padding(live + first + 5, n - first - 5) &&
		       ksplice_is_thunk(target, reg);
	if (n - i >= 3 && live[i] == 0x0f && live[i + 1] == 0xae && live[i + 2] == 0xe8)
		i += 3;
	for (first = i; i < n && i < first + 3 && live[i] == 0x2e; i++)
		;
	length = ksplice_indirect(bytes, reg, jmp);
	return ksplice_match_bytes(live + i, n - i, bytes, length, addr + i);
}

/* The bytes are the beginning of the variable at param, whose value the kernel put there. */
static bool ksplice_holds_value(const struct ksplice_range *range, const u8 *live)
{
	u8 value[8];

	return !copy_from_kernel_nofault(value, (void *)(unsigned long)range->param,
					 range->length) &&
	       !memcmp(live, value, range->length);
}

/*
 * live holds range->length bytes, which are at addr. Returns -1 if they are acceptable, else the
 * offset of the first byte in them that is not.
 */
int ksplice_match_range(const struct ksplice_range *range, unsigned long addr, const u8 *live)
{
	bool matches = ksplice_match_variants(range, addr, live);

	switch (matches ? 0 : range->kind) {
	case KSPLICE_RANGE_FTRACE:
		matches = ksplice_match_ftrace(range, addr, live);
		break;
	case KSPLICE_RANGE_STATIC_CALL:
		matches = ksplice_match_static_call(range, addr, live);
		break;
	case KSPLICE_RANGE_PARAVIRT:
		matches = ksplice_match_paravirt(range, addr, live);
		break;
	case KSPLICE_RANGE_RETPOLINE:
		matches = ksplice_match_retpoline(range, addr, live);
		break;
	case KSPLICE_RANGE_RUNTIME_POINTER:
		matches = range->length == 8 && ksplice_holds_value(range, live);
		break;
	case KSPLICE_RANGE_RUNTIME_SHIFT:
		matches = (range->length == 1 || range->length == 4) &&
			  ksplice_holds_value(range, live);
		break;
	case KSPLICE_RANGE_RETURN_THUNK:
		matches = ksplice_match_return_thunk(addr, live, range->length);
		break;
	default:
		break;
	}
	return matches ? -1 : ksplice_where(range, live);
}
