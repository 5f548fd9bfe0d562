#!/usr/bin/env bash
# ksplice-trace counts each call once, before and after an update, with the process, the caller, the result and the
# body that ran; nothing is left when it is killed, an update can come and go while it traces, and what it cannot do
# has a code.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
gcc -O2 -static -o "$WORK/caller" "$SOURCE_TREE/tests/vm/caller.c"

try() { # --series S
  get_kernel "$@"
  make_patch fs/proc/version.c 's/seq_printf(m, linux_proc_banner,/seq_puts(m, "new "); &/'
  "$create" --patch="$WORK/patch" --config="$CONFIG" --id=traced --output="$WORK" -q "$SOURCE"
  boot_vm --single --file "$WORK/ksplice-traced.tar.gz" --program "$trace" --program "$WORK/caller" \
    <<'EOS' | tee "$WORK/transcript"
is() { [ "$1" = "$2" ] || { echo "FAILED: expected '$1', found '$2'"; cat /tmp/err /tmp/out; exit 1; }; }
# start WORDS...: traces until it is told to end.
start() {
  rm -f /tmp/err
  ksplice-trace -v "$@" >/tmp/out 2>/tmp/err &
  for _ in $(seq 600); do grep -qs '^tracing' /tmp/err && return; [ -e /proc/$! ] || break; usleep 50000; done
  echo "FAILED: it does not trace"; cat /tmp/err; exit 1
}
end() { kill -INT $1 && wait $1 || { echo "FAILED: it ended with $?"; cat /tmp/err; exit 1; }; }
stop() { end $!; }
field() { sed -n "s/^ *\"$1\": \([^,]*\),*$/\1/p" /tmp/out | head -n 1; }
# What all buckets of the histograms hold together.
in_buckets() { sed -n '/"latency"/,/"returns"/s/^ *"calls": \([0-9]*\)$/\1/p' /tmp/out | awk '{ n += $1 } END { print n + 0 }'; }
probes() { wc -l </sys/kernel/debug/kprobes/list; }
# counted WHAT OLD NEW: so many calls are seen in either body while two processes make a thousand.
counted() {
  start --json $1
  tracer=$!
  caller 600 /proc/version & one=$!
  caller 400 /proc/version && wait $one || exit 1
  end $tracer
  is "1000 $2 $3" "$(field calls) $(field old_calls) $(field new_calls)"
  is '1000 1000' "$(field returned) $(in_buckets)"
  is '400 600' "$(sed -n '/"processes"/,/"other_processes"/s/^ *"calls": \([0-9]*\),/\1/p' /tmp/out | sort | xargs)"
  is '"caller" 0' "$(grep -o '"name": "caller"' /tmp/out | sort -u | cut -d ' ' -f 2) $(field other_processes)"
  is '"0" 1000' "$(field meaning) $(sed -n '/"meaning"/,/"new_calls"/s/^ *"calls": \([0-9]*\),/\1/p' /tmp/out)"
  grep -q '"seq_read_iter+0x' /tmp/out && grep -q '"ksys_read+0x' /tmp/out || { echo 'FAILED: no callers'; cat /tmp/out; exit 1; }
}
fails() { # CODE WORDS...
  code=$1; shift
  "$@" --raw-errors --duration=0.1 >/tmp/out 2>/tmp/err && exit 1
  cat /tmp/err
  is "$code" "$(head -n 1 /tmp/err)"
}
echo '== before'
counted ksplice-traced.tar.gz 1000 0
counted version_proc_show 1000 0
echo '== applied'
ksplice-apply -q ksplice-traced.tar.gz || exit 1
counted traced 0 1000
counted version_proc_show 0 1000
ksplice-undo -q traced && ksplice-apply -q --no-settle ksplice-traced.tar.gz || exit 1
counted ksplice-traced.tar.gz 0 1000
echo '== text'
start --duration=30 traced
caller 50 /proc/version
stop
cat /tmp/out
grep -q '^  bodies    0 calls of the old one, 50 of the new one$' /tmp/out || exit 1
grep -q '^  processes         50  caller (' /tmp/out || exit 1
echo '== results'
start --json do_sys_openat2
caller 70 /none
stop
grep -A 1 '"meaning": "-2 (ENOENT)"' /tmp/out | grep -q '"calls": 70,' || { cat /tmp/out; exit 1; }
echo '== undone and applied meanwhile'
start --json traced
ksplice-undo -q traced || exit 1
caller 1 /proc/version
stop
is 'true null' "$(field bodies_unsure) $(field new_calls)"
start --json ksplice-traced.tar.gz
ksplice-apply -q ksplice-traced.tar.gz || exit 1
caller 1 /proc/version
stop
is 'true 1 null' "$(field bodies_unsure) $(field calls) $(field new_calls)"
is 0 "$(probes)"
echo '== killed'
start traced
[ "$(probes)" -gt 0 ] || exit 1
kill -9 $!
wait $!
for _ in $(seq 100); do [ "$(probes)" = 0 ] && break; usleep 50000; done
is 0 "$(probes)"
ksplice-undo -q traced || exit 1
echo '== compared'
compared() { # WORD BEFORE-NEW AFTER-NEW, of 30 calls before and 20 after
  rm -f /tmp/err
  ksplice-trace -v --json --compare --duration=3 $1 >/tmp/out 2>/tmp/err &
  for part in 1 2; do
    until [ "$(grep -cs '^tracing' /tmp/err)" = $part ]; do [ -e /proc/$! ] || break; usleep 50000; done
    caller $((40 - 10 * part)) /proc/version
  done
  wait $! || { cat /tmp/err /tmp/out; exit 1; }
  is "30 $2 20 $3" "$(sed -n '/"old_calls"/!s/^ \{8\}"\(new_\)*calls": \([0-9]*\),/\2/p' /tmp/out | xargs)"
}
compared ksplice-traced.tar.gz 0 20
grep '^new Linux' /proc/version || exit 1
fails usage ksplice-trace --compare ksplice-traced.tar.gz
compared traced 30 0
grep '^Linux' /proc/version || exit 1
echo x >bad.tar.gz
fails bad_tarball ksplice-trace --compare bad.tar.gz
echo '== codes'
fails unknown_function ksplice-trace no_such
fails target_not_loaded ksplice-trace ext9:no_such
fails cannot_trace ksplice-trace do_syscall_64
fails cannot_trace ksplice-trace tracing_clock_show
start --json tracing_clock_show version_proc_show
caller 10 /proc/version
stop
grep -q '"not_traced": "the kernel takes no probe at tracing_clock_show' /tmp/out || exit 1
is '0 10' "$(sed -n 's/^ \{6\}"calls": \([0-9]*\),/\1/p' /tmp/out | xargs)"
echo x >bad.tar.gz
fails bad_tarball ksplice-trace bad.tar.gz
mount -t tmpfs none /sys/kernel/btf
umount /sys/kernel/tracing
ksplice-trace --duration=0.1 version_proc_show | grep 'no types (BTF)' || exit 1
umount /sys/kernel/btf
mount -t tmpfs none /sys/bus/event_source
fails no_bpf ksplice-trace version_proc_show
umount /sys/bus/event_source
mount -t securityfs none /sys/kernel/security
echo confidentiality >/sys/kernel/security/lockdown
fails no_bpf ksplice-trace version_proc_show
grep -q 'locked down' /tmp/err || exit 1
echo "== done"
EOS
  [ "$(tail -n 1 "$WORK/transcript")" = "== done" ] || fail "the transcript of $VERSION is not whole"
}
for series in ${SERIES:-$own_series}; do try --series "$series"; done
