#!/usr/bin/env bash
# A function that ftrace cannot redirect is refused by name.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
get_kernel
make_patch kernel/sched/clock.c '/^notrace u64 sched_clock_cpu/,/^}/s/return sched_clock();/return sched_clock() + 1;/'
refused_create 3 no_ftrace_site --patch="$WORK/patch" "$SOURCE"
expect 'sched_clock_cpu' "$WORK/err"
