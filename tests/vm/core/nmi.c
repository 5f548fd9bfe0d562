// SPDX-License-Identifier: GPL-2.0
/*
 * A function that is called in the NMI while it is switched: nmi_start(), for a hook that is called while the machine is
 * stopped, sends the NMI to the other processors, and they call it until they have met the breakpoint behind its
 * ftrace site 1000 times. The file "calls" says how often it was there, and which code ran then and else.
 */
#include <linux/module.h>
#include <linux/nmi.h>
#include <linux/sysfs.h>
#include <asm/apic.h>
#include <asm/msr.h>
#include <asm/nmi.h>

/* Built twice: with an ftrace site, and without. */
#ifdef NMI_BARE
#define BARE notrace
#define SITE 0
#else
#define BARE
#define SITE 5
#endif

#define WANTED 1000
#define ATTEMPTS 20000000

static unsigned int old, new, breakpoints, wrong;
static bool wanted;

int nmi_answer(void);
BARE noinline int nmi_answer(void)
{
	int answer = 1;

#ifdef NMI_BARE
	/* A loop that begins with the second instruction, which the jump covers. */
	asm volatile("xorl %0, %0; 1: addl $1, %0; cmpl $100, %0; jne 1b; movl $1, %0" : "=&r"(answer) : : "memory");
#else
	asm volatile("" : "+r"(answer) : : "memory");
#endif
	return answer;
}
EXPORT_SYMBOL_GPL(nmi_answer);

/* Where the jump goes: at the start or behind ENDBR, and behind the ftrace site if there is one. */
static const u8 *place(void)
{
	const u8 *code = (const u8 *)nmi_answer;

	return code + (*code == 0xf3 || *code == 0x66 ? 4 : 0) + SITE;
}

static int handle(unsigned int type, struct pt_regs *regs)
{
	unsigned int i;

	if (!READ_ONCE(wanted))
		return NMI_DONE;
	for (i = 0; i < ATTEMPTS && breakpoints < WANTED; i++) {
		bool there = READ_ONCE(*place()) == 0xcc;
		int answer = nmi_answer();

		old += answer == 1;
		new += answer == 2;
		wrong += answer != 1 && answer != 2;
		if (there && answer == 2)
			breakpoints++;
		else if (there)
			wrong++;
	}
	WRITE_ONCE(wanted, false);
	return NMI_HANDLED;
}

int nmi_start(void);
int nmi_start(void)
{
	u32 command = APIC_DEST_ALLBUT | APIC_DM_NMI | APIC_INT_ASSERT;

	breakpoints = 0;
	WRITE_ONCE(wanted, true);
	if (x2apic_enabled())
		wrmsr(APIC_BASE_MSR + (APIC_ICR >> 4), command, 0);
	else
		native_apic_mem_write(APIC_ICR, command);
	/* Here the machine stands still; the handler is at work before it goes on. */
	while (!READ_ONCE(old) && !READ_ONCE(new))
		cpu_relax();
	return 0;
}
EXPORT_SYMBOL_GPL(nmi_start);

static int show_calls(char *buffer, const struct kernel_param *kp)
{
	int length = sysfs_emit(buffer, "at the breakpoint %u, old %s, new %s, wrong %u\n", breakpoints,
				old ? "yes" : "no", new ? "yes" : "no", wrong);

	old = new = 0;
	return length;
}

static const struct kernel_param_ops calls_ops = { .get = show_calls };
module_param_cb(calls, &calls_ops, NULL, 0400);

static int __init nmi_init(void)
{
	return register_nmi_handler(NMI_LOCAL, handle, 0, "nmi_test");
}

static void __exit nmi_exit(void)
{
	unregister_nmi_handler(NMI_LOCAL, "nmi_test");
}

module_init(nmi_init);
module_exit(nmi_exit);
MODULE_DESCRIPTION("calls a function in the NMI");
MODULE_LICENSE("GPL");
