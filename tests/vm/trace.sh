#!/usr/bin/env bash
# ksplice-trace counts each call once, before and after an update, with the process, the caller, the result and the
# body that ran; nothing is left when it is killed, an update can come and go while it traces, and what it cannot do
# has a code.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
gcc -O2 -fno-omit-frame-pointer -static -o "$WORK/caller" "$SOURCE_TREE/tests/vm/caller.c"

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
echo '== picture'
fails failed ksplice-trace --svg=/no/such/folder/x.svg traced
fails failed ksplice-trace --svg=/dev/null traced
[ -c /dev/null ] || exit 1
start --svg=/tmp/trace.svg traced
caller 20 /proc/version
stop
echo '== picture begins'
cat /tmp/trace.svg
echo '== picture ends'
echo '== reach'
reach() { sed -n '/"reach"/,$'"s/^ *\"$1\": \(.*[^,]\),*\$/\1/p" /tmp/out | xargs; }
start --json --reach traced
tracer=$!
caller 30 /proc/version 512 3000 # while it waits, one can look what it is
end $tracer
is '/usr/bin/caller 30 30 false' "$(reach program) $(reach calls) $(reach new_calls) $(reach unread)"
sed -n '/"gone"/,/]/p' /tmp/out | grep -q '[0-9]' || { cat /tmp/out; exit 1; }
sed -n '/"reach"/,$p' /tmp/out | grep -q '"main+0x[0-9a-f]* \[/usr/bin/caller\]"' || { cat /tmp/out; exit 1; }
start --reach traced
tracer=$!
kill -STOP $tracer
caller 5 /proc/version
kill -CONT $tracer
end $tracer
cat /tmp/out
grep -q '^  reached by *5  caller ([0-9]*), went away before it could be looked at$' /tmp/out || exit 1
echo '== tripwire'
wire() { sed -n '/"tripwire"/,/"log"/'"s/^ *\"$1\": \([0-9]*\),*\$/\1/p" /tmp/out; }
start --json --tripwire='count == 3333 && buf != NULL' ksys_read
caller 40 /proc/version 3333
caller 60 /proc/version
stop
is '40 0' "$(wire calls) $(wire not_read)"
is '40 40' "$(grep -c '"count": "3333"' /tmp/out) $(grep -c '^tripwire: ksys_read: caller ([0-9]*): count = 3333, buf = 0x' /tmp/err)"
is 40 "$(sed -n '/"name": "caller"/,/}/s/^ *"trips": \([0-9]*\).*/\1/p' /tmp/out | sort -n | tail -n 1)"
# Also of calls that go on in the new code.
start --json --tripwire='version_proc_show: v == NULL || m->op->start != NULL && m->size >= 4096' traced
caller 25 /proc/version
stop
is '25 0 25' "$(wire calls) $(wire not_read) $(field new_calls)"
fails bad_condition ksplice-trace --tripwire='nix > 1' version_proc_show
fails bad_condition ksplice-trace --tripwire='m->nix > 1' version_proc_show
fails bad_condition ksplice-trace --tripwire='m->size < 0' version_proc_show
fails bad_condition ksplice-trace --tripwire='arg1 != NULL' version_proc_show ksys_read
fails bad_condition ksplice-trace --tripwire='vfs_read: arg1 != NULL' version_proc_show
fails bad_condition ksplice-trace --tripwire='arg1 != 1' --tripwire='arg1 != 2' version_proc_show
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
echo '== interrupted'
# ended WORDS...: it ended with "interrupted", and says that.
ended() {
  wait $! && { echo 'FAILED: not interrupted'; cat /tmp/out; exit 1; }
  grep -qx interrupted /tmp/err && grep -qx "$*" /tmp/err || { echo "FAILED: not '$*'"; cat /tmp/err; exit 1; }
}
start --raw-errors --compare --duration=60 ksplice-traced.tar.gz
kill -INT $!
ended 'update traced is not in the kernel now'
mkdir /tmp/beside
cp "$(command -v ksplice-trace)" /tmp/beside
printf '#!/bin/sh\nksplice-apply "$@" && touch /tmp/applied; sleep 600\n' >/tmp/beside/ksplice-apply
chmod 755 /tmp/beside/ksplice-apply
/tmp/beside/ksplice-trace --raw-errors --compare --duration=0.1 ksplice-traced.tar.gz >/tmp/out 2>/tmp/err &
for _ in $(seq 1200); do [ -e /tmp/applied ] && break; usleep 50000; done
kill -INT $!
ended 'update traced is applied now, and stays so'
grep '^new Linux' /proc/version || exit 1
start --compare --duration=3 --svg=/tmp/both.svg traced
for _ in $(seq 1200); do [ "$(grep -c '^tracing' /tmp/err)" = 2 ] && break; usleep 50000; done
stop
grep -q '>update traced: before<' /tmp/both.svg && grep -q '>after it was undone<' /tmp/both.svg || exit 1
grep '^note: Ctrl-C ended the part after it at [0-9.]* s; the update stays undone$' /tmp/out || { cat /tmp/out; exit 1; }
grep '^Linux' /proc/version || exit 1
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
ksplice-trace --duration=0.1 --tripwire='arg1 != 0' version_proc_show | grep 'no types (BTF)' || exit 1
fails bad_condition ksplice-trace --tripwire='m->size > 1' version_proc_show
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
  sed -n '/^== picture begins/,/^== picture ends/{//!p}' "$WORK/transcript" >"$WORK/trace.svg"
  python3 - "$WORK/trace.svg" <<'END' || fail "the picture is not as it should be"
import sys
import xml.etree.ElementTree as tree

svg = tree.parse(sys.argv[1]).getroot()
name = "{http://www.w3.org/2000/svg}"
assert svg.tag == name + "svg", svg.tag
assert {each.tag.removeprefix(name) for each in svg.iter()} == {"svg", "title", "rect", "text", "g"}
texts = [each.text for each in svg.iter(name + "text")]
assert any(text.startswith("20 calls in ") and text.endswith(": 0 of the old code, 20 of the new code") for text in texts), texts
assert "callers of the new code: stacks of 20 calls" in texts and "time, old" not in "".join(texts), texts
assert not any(text.startswith("callers of the old code") for text in texts), texts
cells = [each.text for each in svg.iter(name + "title")]
for cell in ("version_proc_show", "seq_read_iter", "do_syscall_64"):
    assert cell + ": 20 calls, 100.0 %" in cells, cells
END
}
for series in ${SERIES:-$own_series}; do try --series "$series"; done
