#!/usr/bin/env bash
# Probes by the name of a function that an update replaced see each call once: a kprobe event, BPF fentry, fexit
# and kprobe.multi, perf. One on the new body itself, which has a name of its own, is named when it is in the
# way of undo. Calls go through a jump, or, with --no-settle, through the handler. perf traces every function for a moment: with a thread for each processor the emulator loses track of
# code that is being rewritten. On 6.1, or on what SERIES names.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
gcc -O2 -static -o "$WORK/multi" "$SOURCE_TREE/tests/vm/multi.c"
gcc -O2 -static -o "$WORK/company" "$SOURCE_TREE/tests/vm/core/company.c"

try() { # --series S
  get_kernel "$@"
  make_patch fs/proc/version.c 's/seq_printf(m, linux_proc_banner,/seq_puts(m, "new "); &/'
  "$create" --patch="$WORK/patch" --config="$CONFIG" --id=probed --output="$WORK" -q "$SOURCE"
  boot_vm --single --file "$WORK/ksplice-probed.tar.gz" --program "$WORK/multi" --program "$WORK/company" <<'EOS' | tee "$WORK/transcript"
is() { [ "$1" = "$2" ] || { echo "FAILED: expected '$1', found '$2'"; exit 1; }; }
# start WHAT...: runs it until it has attached.
start() {
  rm -f /tmp/said
  "$@" >/tmp/said &
  for _ in $(seq 600); do [ -s /tmp/said ] && break; usleep 100000; done
  is attached "$(cat /tmp/said)"
}
# counts FILE: what they have counted, asked twice: what came before does not count.
counts() { rm -f "$1"; kill -USR1 $!; for _ in $(seq 600); do [ -s "$1" ] && break; usleep 100000; done; cat "$1"; }
sysctl -q -w kernel.bpf_stats_enabled=1
ksplice-apply ksplice-probed.tar.gz || exit 1
ksplice-view --id=probed | grep ', calls -, redirect: jump$' || exit 1
ksplice-view --id=probed --json | grep '"redirect": "jump"' || exit 1
is 1 "$(grep -cw version_proc_show /proc/kallsyms)"
body=$(awk '$3 == "ksplice_probed_version_proc_show" { print "0x" $1 }' /proc/kallsyms)
echo 'p:ksplice_probe version_proc_show' >/sys/kernel/tracing/kprobe_events || exit 1
start company version_proc_show /tmp/counts
grep '^new Linux' /proc/version || exit 1
is 'fentry 1, fexit 1, kprobe 1, function 1' "$(counts /tmp/counts)"
ksplice-view --id=probed --count-calls=on | grep ', calls 0, redirect: jump$' || exit 1
for _ in 1 2 3; do cat /proc/version >/dev/null; done
is 'fentry 3, fexit 3, kprobe 3, function 3' "$(counts /tmp/counts)"
ksplice-view --id=probed --count-calls=off | grep ', calls 3, redirect: jump$' || exit 1
kill $! && wait $!
echo >/sys/kernel/tracing/kprobe_events
if grep -qw fprobe_handler /proc/kallsyms; then # kprobe.multi; not in Debian's 6.1
  start multi version_proc_show /tmp/multi
  cat /proc/version >/dev/null
  is 1 "$(counts /tmp/multi)"
  kill $! && wait $!
  start multi "$body" /tmp/multi
  ksplice-undo --raw-errors probed 2>/tmp/err && exit 1
  cat /tmp/err
  is module_busy "$(head -n 1 /tmp/err)"
  grep 'ksplice_probed_version_proc_show .*is traced by fprobe_handler' /tmp/err || exit 1
  kill $! && wait $!
  for _ in $(seq 600); do [ "$(cat /sys/module/ksplice_probed_vmlinux/refcnt)" = 1 ] && break; usleep 100000; done
fi
grep '^new Linux' /proc/version || exit 1
ksplice-view --id=probed | grep ', calls 3, redirect: jump$' || exit 1
ksplice-undo probed || exit 1
ksplice-view --id=probed --count-calls=on --json | grep '"code": "unknown_update"' || exit 1
grep '^Linux' /proc/version || exit 1
ksplice-apply --count-calls ksplice-probed.tar.gz || exit 1
grep '^new Linux' /proc/version || exit 1
ksplice-view --id=probed | grep ', calls 1, redirect: jump$' || exit 1
ksplice-undo probed || exit 1
ksplice-apply --no-settle ksplice-probed.tar.gz || exit 1
grep '^new Linux' /proc/version || exit 1
ksplice-view --id=probed | grep ', calls 1, redirect: handler (the update was applied so)$' || exit 1
ksplice-view --id=probed --json | grep '"redirect_reason": "the update was applied so"' || exit 1
ksplice-undo probed || exit 1
grep '^Linux' /proc/version || exit 1
echo "== done"
EOS
  [ "$(tail -n 1 "$WORK/transcript")" = "== done" ] || fail "the transcript of $VERSION is not whole"
}
for series in ${SERIES:-$own_series}; do try --series "$series"; done
