#!/usr/bin/env bash
# Definitions that the running kernel's other code would not be led to: one over a weak one, and a
# weak one that counts because the other is gone.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
get_kernel
stop='void panic_smp_self_stop(void);\nvoid panic_smp_self_stop(void)\n{\n\tfor (;;)\n\t\tbarrier();\n}\n'
make_patch fs/proc/cmdline.c "s/^static int cmdline_proc_show/$stop\n&/; s/'.n'/'\\\\t'/"
cp "$WORK/patch" "$WORK/first"
make_patch arch/x86/mm/pat/set_memory.c '/^void arch_report_meminfo/,/^}/d'
cat "$WORK/first" >>"$WORK/patch"
refused_create 3 global_moved --patch="$WORK/patch" "$SOURCE"
expect 'panic_smp_self_stop is defined in fs/proc/cmdline\.o now, and vmlinux has a weak one' "$WORK/err"
expect 'no longer defines arch_report_meminfo for others, and meminfo_proc_show still uses it' "$WORK/err"

# A unit that no makefile builds any more, and one whose source is gone.
make_patch arch/x86/kernel/Makefile '/irq_work\.o/d'
cat "$WORK/first" >>"$WORK/patch"
refused_create 3 global_moved --patch="$WORK/patch" "$SOURCE"
gone='arch/x86/kernel/irq_work\.o no longer defines arch_irq_work_raise for others, and __irq_work_queue_local still uses'
expect "$gone" "$WORK/err"
diff -u --label a/arch/x86/kernel/irq_work.c --label /dev/null "$SOURCE/arch/x86/kernel/irq_work.c" /dev/null >>"$WORK/patch" || true
refused_create 3 global_moved --patch="$WORK/patch" "$SOURCE"
expect "$gone" "$WORK/err"

# A name alone, without a change of any code.
make_patch arch/x86/mm/pat/set_memory.c 's/^EXPORT_SYMBOL(set_memory_uc);/&\nasm(".globl panic_smp_self_stop, set_memory_uc\\n.set panic_smp_self_stop, set_memory_uc");/'
refused_create 3 global_moved --patch="$WORK/patch" "$SOURCE"
expect 'panic_smp_self_stop is defined in arch/x86/mm/pat/set_memory\.o now, and vmlinux has a weak one' "$WORK/err"
