// SPDX-License-Identifier: GPL-2.0
/*
 * All that is of the processor, but for the code that the kernel rewrites (x86_text.c): where a
 * function's ftrace site is, how a stack is walked, what kprobes write over code.
 */
#include <linux/ftrace.h>
#include <linux/kprobes.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <asm/unwind.h>

#include "core.h"

#define KSPLICE_MAX_FRAMES 256

#ifdef CONFIG_KPROBES
/* The kprobe at addr, unless that is of a module which is no more. */
static struct kprobe *ksplice_kprobe(unsigned long addr)
{
	struct kprobe *probe = get_kprobe((void *)addr);

	return probe && !kprobe_gone(probe) ? probe : NULL;
}
#endif

/*
 * Puts the bytes back that kprobes have overwritten: the first byte of an instruction by int3, or
 * its first five by a jump if the probe is optimized.
 */
void ksplice_undo_kprobes(u8 *live, unsigned long addr, u32 size)
{
#ifdef CONFIG_KPROBES
	struct kprobe *probe;
	u32 i;

	for (i = 0; i < size; i++) {
		if (live[i] != 0xcc && live[i] != 0xe9)
			continue;
		preempt_disable();
		probe = ksplice_kprobe(addr + i);
		if (probe && live[i] == 0xcc) {
			live[i] = probe->opcode;
		} else if (probe && (probe->flags & KPROBE_FLAG_OPTIMIZED)) {
#ifdef CONFIG_OPTPROBES
			struct optimized_kprobe *optimized =
				container_of(probe, struct optimized_kprobe, kp);

			live[i] = probe->opcode;
			memcpy(&live[i + 1], optimized->optinsn.copied_insn,
			       min_t(u32, DISP32_SIZE, size - i - 1));
#endif
		}
		preempt_enable();
	}
#endif
}

/* Is there a kprobe on one of these bytes, be it armed or not? Text must be locked for an answer that lasts. */
bool ksplice_has_kprobe(unsigned long addr, u32 size)
{
	bool found = false;
#ifdef CONFIG_KPROBES
	u32 i;

	preempt_disable();
	for (i = 0; i < size && !found; i++)
		found = ksplice_kprobe(addr + i);
	preempt_enable();
#endif
	return found;
}

/* Is the address in the kernel's own image, text or data? */
bool ksplice_in_image(unsigned long addr)
{
	return addr >= __START_KERNEL_map && addr < __START_KERNEL_map + KERNEL_IMAGE_SIZE;
}

/* The ftrace site of the function at addr, or 0. */
unsigned long ksplice_site(unsigned long addr)
{
	unsigned long ip = ftrace_location(addr);

	/* After an ENDBR the site is at 4. Anything later is in other code. */
	return ip && ip - addr <= 4 ? ip : 0;
}

/* Where the first instruction of the function is, or the second after an ENDBR, which may be sealed. */
unsigned long ksplice_entry(const struct ksplice_run *run)
{
	static const u8 endbr[] = { 0xf3, 0x0f, 0x1e, 0xfa };

	if (run->size < sizeof(endbr) ||
	    memcmp((void *)(unsigned long)run->bytes, endbr, sizeof(endbr)))
		return run->addr;
	return run->addr + sizeof(endbr);
}

/*
 * Code that runs where nothing else may: on the way into the kernel and out of it, with the page
 * tables of a user, or while RCU does not watch.
 */
bool ksplice_is_noinstr(unsigned long addr, const struct module *module)
{
	if (module)
		return addr - (unsigned long)module->noinstr_text_start < module->noinstr_text_size;
	return (addr >= (unsigned long)__noinstr_text_start && addr < (unsigned long)__noinstr_text_end) ||
	       (addr >= (unsigned long)__entry_text_start && addr < (unsigned long)__entry_text_end) ||
	       (addr >= (unsigned long)__cpuidle_text_start && addr < (unsigned long)__cpuidle_text_end);
}

/*
 * Calls visit for each return address on the task's stack. Returns 0 at the stack's end, -EBUSY if
 * visit said true, or -EINVAL if the stack cannot be walked reliably.
 */
int ksplice_unwind(struct task_struct *task, bool (*visit)(void *data, unsigned long addr),
		   void *data)
{
	struct unwind_state state;
	unsigned int n;

	unwind_start(&state, task, NULL, NULL);
	for (n = 0; n < KSPLICE_MAX_FRAMES && !unwind_done(&state) && !unwind_error(&state); n++) {
		struct pt_regs *regs = unwind_get_entry_regs(&state, NULL);
		unsigned long addr;

		if (regs && user_mode(regs))
			return 0;
		/* An interrupted function may not have set up its frame yet. */
		if (regs && IS_ENABLED(CONFIG_FRAME_POINTER))
			return -EINVAL;
		addr = unwind_get_return_address(&state);
		if (!addr)
			return -EINVAL;
		if (visit(data, addr))
			return -EBUSY;
		unwind_next_frame(&state);
	}
	return unwind_done(&state) && !unwind_error(&state) ? 0 : -EINVAL;
}
