#!/usr/bin/env bash
# A function that has no ftrace site, and may not have a jump, is refused by name.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
get_kernel
make_patch kernel/entry/common.c '/^irqentry_state_t noinstr irqentry_nmi_enter/,/^}/s/= lockdep_hardirqs_enabled();/= 1;/'
refused_create 3 no_ftrace_site --patch="$WORK/patch" "$SOURCE"
expect 'irqentry_nmi_enter has no ftrace site, .*: it is in \.noinstr\.text' "$WORK/err"
