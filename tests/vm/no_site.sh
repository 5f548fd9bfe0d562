#!/usr/bin/env bash
# Functions that ftrace cannot redirect get a jump at their entry: one of kernel/trace, which is built without ftrace
# sites; the probes of a tracepoint, of which the patch changes the header; and a notrace one that
# stop_machine() calls while it waits. Applied, seen, traced, undone, twice. On 6.1, or on what SERIES names.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

try() { # --series S
  get_kernel "$@"
  make_patch kernel/trace/trace.c '/^static int tracing_clock_show/,/^}/s/\t\(seq_putc(m, .\\n.);\)/\tseq_puts(m, " new");\n&/'
  cp "$WORK/patch" "$WORK/all"
  make_patch include/trace/events/task.h 's/\(__entry->oom_score_adj = task->signal->oom_score_adj\);/\1 + 1000;/'
  cat "$WORK/patch" >>"$WORK/all"
  make_patch kernel/rcu/tree.c '/^notrace void rcu_momentary_eqs/,/^}/s/\tint seq;/&\n\n\tif (unlikely(oops_in_progress))\n\t\treturn;/'
  cat "$WORK/patch" >>"$WORK/all"
  # Its first instructions are a jump label, which the kernel goes on writing.
  make_patch kernel/sched/clock.c '/^notrace u64 sched_clock_cpu/,/^}/s/return sched_clock() + __sched_clock_offset/& + (cpu \& 1)/'
  refused_create 3 no_ftrace_site --patch="$WORK/patch" "$SOURCE"
  expect 'sched_clock_cpu has no ftrace site, .*: __jump_table says that the kernel rewrites' "$WORK/err"
  "$create" --patch="$WORK/all" --config="$CONFIG" --id=bare --output="$WORK" -q "$SOURCE"
  boot_vm --single --file "$WORK/ksplice-bare.tar.gz" --console "$WORK/console" <<'EOS' | tee "$WORK/transcript"
T=/sys/kernel/tracing
is() { [ "$1" = "$2" ] || { echo "FAILED: expected '$1', found '$2'"; exit 1; }; }
clock() { grep -o ' new$' $T/trace_clock; }
rename() { # what the tracepoint says of a task that changes its name
  echo >$T/trace
  (printf renamed >/proc/self/comm)
  grep -o 'newcomm=renamed oom_score_adj=.*' $T/trace | cut -d = -f 3
}
echo 1 >$T/events/task/task_rename/enable
is "" "$(clock)"
is 0 "$(rename)"
for i in 1 2; do
  ksplice-apply --check ksplice-bare.tar.gz || exit 1
  ksplice-apply ksplice-bare.tar.gz || exit 1
  ksplice-view --id=bare
  for name in tracing_clock_show trace_event_raw_event_task_rename perf_trace_task_rename rcu_momentary_eqs; do
    ksplice-view --id=bare | grep -q "$name.*jump" || { echo "FAILED: no jump of $name"; exit 1; }
  done
  is " new" "$(clock)"
  is 1000 "$(rename)"
  echo function >$T/current_tracer
  sleep 1
  echo nop >$T/current_tracer
  is 1000 "$(rename)"
  ksplice-undo bare || exit 1
  is "" "$(clock)"
  is 0 "$(rename)"
done
ksplice-apply --no-settle --raw-errors ksplice-bare.tar.gz 2>/tmp/err && exit 1
cat /tmp/err
is no_ftrace_site "$(head -n 1 /tmp/err)"
grep ksplice /proc/modules && exit 1
echo "== done"
EOS
  [ "$(tail -n 1 "$WORK/transcript")" = "== done" ] || fail "the transcript of $VERSION is not whole"
}
for series in ${SERIES:-$own_series}; do try --series "$series"; done
