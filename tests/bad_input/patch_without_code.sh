#!/usr/bin/env bash
# A patch that changes only a comment, no file that the configuration builds, or a weak default that the kernel has
# another definition for, is refused as such.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
get_kernel
make_patch net/ipv4/tcp_ipv4.c '/^int tcp_v4_rcv/i /* only a comment */'
refused_create 1 no_change --patch="$WORK/patch" "$SOURCE"

make_patch arch/arm/mm/fault.c '1i int not_built_here;'
refused_create 1 no_change --patch="$WORK/patch" "$SOURCE"
expect 'arch/arm/mm/fault\.c' "$WORK/err"

make_patch kernel/panic.c '/^void __weak .*nmi_panic_self_stop/,/^}/s/panic_smp_self_stop();/pr_emerg("stop"); &/'
refused_create 1 no_change --patch="$WORK/patch" "$SOURCE"
expect 'nmi_panic_self_stop of kernel/panic\.o is not in this kernel, .*: it is a weak default' "$WORK/err"
