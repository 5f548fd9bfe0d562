// SPDX-License-Identifier: GPL-2.0
/*
 * What a range of code may look like that the kernel rewrites itself: one of the variants that the
 * maker of the update knows, or, by its kind, what the kernel makes of it at run time. Forms are
 * those of arch/x86/kernel/alternative.c, static_call.c, ftrace.c and paravirt.c of 6.1 to 6.12:
 *
 *	ftrace		0f 1f 44 00 00, or e8 to a trampoline
 *	static call	e8/e9 to key->func; nop5; xor %eax,%eax; ret
 *	paravirt	e8 to the function in the pv_ops slot, or nops
 *	retpoline	[cs] call/jmp thunk; [lfence] call/jmp *%reg; call/jmp to an ITS thunk
 *	return thunk	ret, int3...; jmp to one of the kernel's return thunks
 *	runtime const	the value of a variable (arch/x86/include/asm/runtime-const.h)
 */
#include <linux/ftrace.h>
#include <linux/kallsyms.h>
#include <linux/static_call_types.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "core.h"

static const u8 ksplice_nop5[] = { 0x0f, 0x1f, 0x44, 0x00, 0x00 };
static const u8 ksplice_xor5[] = { 0x2e, 0x2e, 0x2e, 0x31, 0xc0 };

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

static bool ksplice_match_bytes(const u8 *live, unsigned int n, const u8 *bytes,
				unsigned int length)
{
	return length <= n && !memcmp(live, bytes, length) &&
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

static bool ksplice_match_variants(const struct ksplice_range *range, const u8 *live)
{
	const u8 *variant = (const u8 *)(unsigned long)range->variants;
	unsigned int i;

	for (i = 0; i < range->nr_variants; i++, variant += 1 + range->length)
		if (ksplice_match_bytes(live, range->length, variant + 1, variant[0]))
			return true;
	return false;
}

/* Target of the 5-byte call or jump (opcode op) at p, which runs at addr; 0 if there is none. */
static unsigned long ksplice_target(const u8 *p, unsigned int n, u8 op, unsigned long addr)
{
	if (n < 5 || p[0] != op)
		return 0;
	return addr + 5 + *(const s32 *)(p + 1);
}

static unsigned long ksplice_read_pointer(u64 addr)
{
	unsigned long value;

	if (copy_from_kernel_nofault(&value, (void *)(unsigned long)addr, sizeof(value)))
		return 0;
	return value;
}

static bool ksplice_match_ftrace(const struct ksplice_range *range, unsigned long addr,
				 const u8 *live)
{
	if (range->length != 5)
		return false;
	/* ftrace owns the site: nobody else writes there, and it writes nothing else. */
	return !memcmp(live, ksplice_nop5, 5) ||
	       (live[0] == 0xe8 && ftrace_location(addr) == addr);
}

static bool ksplice_is_ret(const u8 *live, unsigned int n)
{
	return n >= 1 && live[0] == 0xc3 && ksplice_is_padding(live + 1, n - 1);
}

/* True if addr is the start of a function of the kernel whose name has this beginning and end. */
static bool ksplice_is_function(unsigned long addr, const char *start, const char *end)
{
	char name[KSYM_SYMBOL_LEN];
	char *offset;
	size_t length;

	if (!core_kernel_text(addr))
		return false;
	sprint_symbol(name, addr);
	offset = strstr(name, "+0x0/");
	if (!offset)
		return false;
	*offset = 0;
	length = strlen(name);
	return !strncmp(name, start, strlen(start)) && length >= strlen(end) &&
	       !strcmp(name + length - strlen(end), end);
}

static bool ksplice_match_return_thunk(unsigned long addr, const u8 *live, unsigned int n)
{
	unsigned long target = ksplice_target(live, n, 0xe9, addr);

	return ksplice_is_ret(live, n) ||
	       (target && ksplice_is_padding(live + 5, n - 5) &&
		ksplice_is_function(target, "", "return_thunk"));
}

static bool ksplice_match_static_call(const struct ksplice_range *range, unsigned long addr,
				      const u8 *live)
{
	unsigned int n = range->length;
	unsigned long func = ksplice_read_pointer(range->param +
						  offsetof(struct static_call_key, func));
	unsigned long target = ksplice_target(live, n, 0xe8, addr);

	if (!target)
		target = ksplice_target(live, n, 0xe9, addr);
	if (target && n == 5 && target == func)
		return true;
	if (n == 5 && (!memcmp(live, ksplice_nop5, 5) || !memcmp(live, ksplice_xor5, 5)))
		return true;
	return ksplice_match_return_thunk(addr, live, n);
}

static bool ksplice_match_paravirt(const struct ksplice_range *range, unsigned long addr,
				   const u8 *live)
{
	unsigned long func = ksplice_read_pointer(range->param);
	unsigned long target = ksplice_target(live, range->length, 0xe8, addr);

	if (target)
		return target == func && ksplice_is_padding(live + 5, range->length - 5);
	return ksplice_is_padding(live, range->length);
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
	u8 bytes[3], found[3];
	unsigned int n = ksplice_indirect(bytes, reg, true);

	if (copy_from_kernel_nofault(found, (void *)target, n))
		return false;
	return !memcmp(bytes, found, n) || ksplice_is_function(target, "__x86_indirect_", "");
}

static bool ksplice_match_retpoline(const struct ksplice_range *range, unsigned long addr,
				    const u8 *live)
{
	bool jmp = range->param & 0x100, jcc = range->param & 0x200;
	unsigned int reg = range->param & 15;
	unsigned int n = range->length, i = 0, length;
	unsigned long target;
	u8 bytes[3];

	if (jcc) {
		/* Rewritten as a short jump of the opposite condition over the jmp. */
		if (n < 2 || (live[0] & 0xf0) != 0x70 || live[1] != n - 2)
			return false;
		i = 2;
		jmp = true;
	}
	if (i < n && live[i] == 0x2e)
		i++;
	target = ksplice_target(live + i, n - i, jmp ? 0xe9 : 0xe8, addr + i);
	if (target)
		return ksplice_is_padding(live + i + 5, n - i - 5) &&
		       ksplice_is_thunk(target, reg);
	if (n - i >= 3 && live[i] == 0x0f && live[i + 1] == 0xae && live[i + 2] == 0xe8)
		i += 3;
	if (i < n && live[i] == 0x2e)
		i++;
	length = ksplice_indirect(bytes, reg, jmp);
	return ksplice_match_bytes(live + i, n - i, bytes, length);
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
	bool matches = ksplice_match_variants(range, live);

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
		matches = range->length == 1 && ksplice_holds_value(range, live);
		break;
	case KSPLICE_RANGE_RETURN_THUNK:
		matches = ksplice_match_return_thunk(addr, live, range->length);
		break;
	default:
		break;
	}
	return matches ? -1 : ksplice_where(range, live);
}
