/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The interface between update modules and the core (ksplice.ko). The only file that C++ and
 * kernel code share: objdiff/update/update_object.cc writes these structures into an update object as
 * ELF data with relocations, the core reads them.
 *
 * One update has one update module per target. Each registers one struct ksplice_object; when all
 * nr_objects of an id are registered, the update can be applied through
 * /sys/kernel/ksplice/ID/stage.
 *
 * Pointers are __u64 here so that both languages agree on the layout; in a loaded module they are
 * ordinary relocated addresses. Tables are sorted by address or offset where it is said.
 */
#ifndef KSPLICE_ABI_H
#define KSPLICE_ABI_H

#include <linux/types.h>

#define KSPLICE_ABI_VERSION 9

/*
 * Kinds of ranges in run code that the kernel rewrites itself. Each accepts the bytes of a listed
 * variant (variant 0 is what the image file has), and in addition what the kind says.
 * "Padding" after a variant's counted bytes: any sequence of x86 nops, int3, or a jump over int3s to the end.
 */
enum ksplice_range_kind {
	KSPLICE_RANGE_VARIANTS = 1,	/* only the variants: jump labels, smp locks, endbr */
	KSPLICE_RANGE_FTRACE = 2,	/* 5 bytes: also nop5, or a call or jmp into a trampoline of ftrace
					 * or BPF */
	KSPLICE_RANGE_STATIC_CALL = 3,	/* 5 or 6 bytes; param: address of struct static_call_key. Also a
					 * call/jmp/jcc (as variant 0) to key->func; nop5 or ret if that is
					 * null; what the kernel writes for a function it knows */
	KSPLICE_RANGE_PARAVIRT = 4,	/* param: address of a function pointer (pv_ops slot). Also a
					 * direct call to what it holds, or nops if that does nothing */
	KSPLICE_RANGE_RETPOLINE = 5,	/* param: register number 0..15, | 0x100 for jmp, | 0x200 for a
					 * conditional jmp. Also the inline, lfence and ITS forms */
	KSPLICE_RANGE_RETURN_THUNK = 6,	/* 5 bytes: also ret+int3, or a jmp to a return thunk that the kernel has */
	KSPLICE_RANGE_RUNTIME_POINTER = 7, /* 8 bytes, param: address of a u64 whose value they hold
					 * (runtime_const_ptr, since 6.11), or of another place in
					 * code that must hold the same */
	KSPLICE_RANGE_RUNTIME_SHIFT = 8, /* 1 byte of a shift, or 4 of a mask (runtime_const_mask_32);
					 * param: address of the variable that begins with them, or
					 * of another place in code that must hold the same */
	KSPLICE_RANGE_ALTERNATIVE = 9,	/* only the variants, of which the kernel has chosen one for good
					 * before anything can be applied: a jump may cover them */
};

/* variants: nr_variants records, each one __u8 counted length and then exactly length bytes. */
struct ksplice_range {
	__u32 offset;		/* in the function; ranges are sorted and disjoint */
	__u16 length;
	__u8 kind;
	__u8 nr_variants;
	__u64 variants;		/* const __u8 * */
	__u64 param;
};

#define KSPLICE_RUN_MODULE_DATA	0x1	/* reserved */

/* Code that must be in the running kernel exactly so, and must not be on any stack at the switch. */
struct ksplice_run {
	__u64 name;		/* const char * */
	__u64 addr;		/* run address; an absolute symbol that the finalizer fills in */
	__u64 bytes;		/* const __u8 *: expected bytes, size of them */
	__u64 ranges;		/* const struct ksplice_range * */
	__u32 size;
	__u32 nr_ranges;
	__u32 flags;
	__u32 reserved;
};

/*
 * A function that is redirected. run->addr is the entry of the original function, or, for an
 * update made on top of another one, the entry (new_addr) of the body that the other update put in
 * its place; the core redirects the original's entry in both cases.
 */
struct ksplice_function {
	__u64 name;		/* const char * */
	__u64 run;		/* const struct ksplice_run *: the body that is replaced, in this
				 * object's own table of runs */
	__u64 new_addr;		/* entry of the new body in the update module */
	__u64 new_size;
	__u64 flags;
	__u64 counter;		/* KSPLICE_COUNTER_SIZE bytes of code in the update module that go on to
				 * new_addr. The core writes them before a call comes there, so that they
				 * count it. 0: there are none */
};

#define KSPLICE_COUNTER_SIZE 32

#define KSPLICE_FUNCTION_RESHAPED 0x1	/* it has other parameters, or another result, than before */

/*
 * A function of the running kernel, or of an update on which this one stands, that new code refers to
 * and the code before did not: new code was compiled for its parameters.
 */
struct ksplice_callee {
	__u64 name;		/* const char * */
	__u64 addr;		/* its entry */
};

/*
 * An update module of an earlier update on which this one stands: this one replaces its code, or uses
 * functions or data that came with it. It must be applied, and stays while this one is.
 */
struct ksplice_need {
	__u64 id;		/* const char *: the earlier update */
	__u64 module;		/* struct module * of its update module */
};

/* A unit of the target from which the update has code, or of which it switches data. */
struct ksplice_unit {
	__u64 name;		/* const char *: "net/ipv4/tcp_ipv4.o" */
};

/*
 * Eight bytes of existing data, of which those in the mask are switched with the code: they must have
 * the one value before, and have the other after. All of them: a pointer.
 */
struct ksplice_place {
	__u64 name;		/* const char *: "fq_codel_qdisc_ops+0x38" */
	__u64 addr;		/* in the target's data, a multiple of 8 */
	__u64 mask;
	__u64 old_value;	/* 0 outside of the mask, as new_value */
	__u64 new_value;
};

/* Hooks, in the order of the original's names; see ksplice-patch.h. */
enum ksplice_hook_kind {
	KSPLICE_HOOK_PRE_APPLY,
	KSPLICE_HOOK_CHECK_APPLY,
	KSPLICE_HOOK_APPLY,
	KSPLICE_HOOK_POST_APPLY,
	KSPLICE_HOOK_FAIL_APPLY,
	KSPLICE_HOOK_PRE_REVERSE,
	KSPLICE_HOOK_CHECK_REVERSE,
	KSPLICE_HOOK_REVERSE,
	KSPLICE_HOOK_POST_REVERSE,
	KSPLICE_HOOK_FAIL_REVERSE,
	KSPLICE_NR_HOOKS
};

/*
 * ksplice-patch.h places one pointer to each hook in the section of its kind (8 bytes each, no
 * other contents). The writer of update objects gathers the pointers of each kind into one array
 * and puts its address and length into hooks[kind]; the sections themselves are not needed later.
 * Indexed by enum ksplice_hook_kind.
 */
#define KSPLICE_HOOK_SECTIONS {			\
	".ksplice.call_pre_apply",		\
	".ksplice.call_check_apply",		\
	".ksplice.call_apply",			\
	".ksplice.call_post_apply",		\
	".ksplice.call_fail_apply",		\
	".ksplice.call_pre_reverse",		\
	".ksplice.call_check_reverse",		\
	".ksplice.call_reverse",		\
	".ksplice.call_post_reverse",		\
	".ksplice.call_fail_reverse",		\
}

/* Is there if the patch says ksplice_addresses_removed(), see ksplice-patch.h. */
#define KSPLICE_ADDRESSES_REMOVED ".ksplice.addresses_removed"

struct ksplice_hook_table {
	__u64 hooks;		/* array of function pointers */
	__u64 nr;
};

/* The symbol ksplice_update_object of an update object. */
struct ksplice_object {
	__u32 abi_version;	/* KSPLICE_ABI_VERSION */
	__u32 nr_objects;	/* update modules that the update with this id has on this host */
	__u64 id;		/* const char * */
	__u64 description;	/* const char *, may be empty */
	__u64 target;		/* const char *: "vmlinux" or a module name */
	__u64 target_module;	/* struct module * of the target; 0 for vmlinux, and 0 is accepted for a
				 * module, which is then found by its name only */
	__u64 runs;		/* const struct ksplice_run * */
	__u64 functions;	/* const struct ksplice_function * */
	__u64 needs;		/* const struct ksplice_need * */
	__u64 places;		/* const struct ksplice_place * */
	__u64 callees;		/* const struct ksplice_callee * */
	__u64 units;		/* const struct ksplice_unit * */
	__u64 kept;		/* const char *: what of the module may be used after an undo, a line
				 * each, so that it must stay in memory; 0: nothing */
	__u32 nr_runs;
	__u32 nr_functions;
	__u32 nr_needs;
	__u32 nr_places;
	__u32 nr_callees;
	__u32 nr_units;
	__u32 flags;
	__u32 reserved;
	struct ksplice_hook_table hooks[KSPLICE_NR_HOOKS];
};

#define KSPLICE_OBJECT_USES_OTHERS 0x1	/* its code uses what is in the update's other targets, or came with
					 * their update modules */

#ifdef __KERNEL__
struct module;

/* Exported by ksplice.ko for the stub (update.c) in each update module. */
int ksplice_register(struct ksplice_object *object, struct module *module);
void ksplice_unregister(struct ksplice_object *object);
#endif

#endif
