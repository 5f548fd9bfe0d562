#!/usr/bin/env bash
# Updates on probation: one passes, one is undone because the health command fails, one because the kernel warns; what a
# user writes into the kernel's log is not taken for that.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
get_kernel --series "${SERIES:-$own_series}"
# make_update ID FILE SED_SCRIPT
make_update() {
  make_patch "$2" "$3"
  "$create" --patch="$WORK/patch" --config="$CONFIG" --id="$1" --output="$WORK" -q "$SOURCE"
}
make_update calm fs/proc/cmdline.c 's/seq_puts(m, saved_command_line);/& seq_putc(m, 32);/'
make_update warns fs/proc/version.c 's/seq_printf(m, linux_proc_banner,/WARN_ON_ONCE(1); &/'
cat >"$WORK/guest" <<'EOS'
fail() { echo "FAILED: $*"; cat /tmp/out /tmp/err; ksplice-view; cat /var/lib/ksplice/boot.json; dmesg | tail -n 20; exit 1; }
# runs STATUS COMMAND...: ends with it; its output is in /tmp/out and /tmp/err.
runs() {
  wanted=$1
  shift
  "$@" >/tmp/out 2>/tmp/err
  status=$?
  [ $status = "$wanted" ] || fail "status $status, not $wanted: $*"
}
says() { grep -qE "$1" /tmp/out /tmp/err || fail "it does not say: $1"; }
applied() { [ -e "/sys/kernel/ksplice/$1/stage" ] && [ "$(cat "/sys/kernel/ksplice/$1/stage")" = applied ]; }
# until_it COMMAND...: for half a minute at most.
until_it() { for _ in $(seq 150); do "$@" && return; usleep 200000; done; fail "never: $*"; }
gone() { [ ! -e "/sys/kernel/ksplice/$1" ]; }
over() { ! grep -q probation /var/lib/ksplice/boot.json 2>/dev/null; }
watcher() { sed -n 's/.*"watcher": \([0-9]*\),.*/\1/p' /var/lib/ksplice/boot.json; }
ended() { [ ! -e "/proc/$process" ]; }

echo "== passes"
runs 0 ksplice-apply --probation=2 ksplice-calm.tar.gz
says "^Update calm is on probation for 2 s\.$"
until_it over
applied calm || fail "it has passed, and is not applied"
[ ! -e /var/lib/ksplice/boot.json ] || fail "a mark is left"
runs 0 ksplice-view --id=calm
says "^Each boot of its kernel brings it back\.$"
runs 0 ksplice-undo calm

echo "== the host is ill before"
runs 1 ksplice-apply --raw-errors --probation=1min --health-command="echo ill; exit 4" ksplice-calm.tar.gz
[ "$(head -n 1 /tmp/err)" = unhealthy ] || fail "another code"
says "status 4: ill"
gone calm && [ ! -e /var/lib/ksplice ] || fail "something was done"

echo "== the health command fails"
runs 0 ksplice-apply --json --probation=20 --health-command='[ ! -e /tmp/ill ] && [ "$PWD" = / ]' ksplice-calm.tar.gz
says '"probation": true'
runs 0 ksplice-view
process=$(watcher)
says "^  on probation, watched by process $process$"
[ "$(cat "/proc/$process/comm")" = ksplice-boot ] || fail "not by that"
echo "<2>------------[ cut here ]------------" >/dev/kmsg
sleep 2
applied calm || fail "what a user wrote into the log counts"
touch /tmp/ill
until_it gone calm
until_it ended
runs 0 ksplice-view
says "^calm: in quarantine: on probation: the health command failed with status 1 "
runs 3 ksplice-apply --raw-errors ksplice-calm.tar.gz
[ "$(head -n 1 /tmp/err)" = quarantined ] || fail "another code"
runs 0 ksplice-boot --lift=calm

echo "== somebody else undoes it"
runs 0 ksplice-apply --probation=1h ksplice-calm.tar.gz
runs 0 ksplice-boot --healthy
process=$(watcher)
kill -9 "$process"
until_it ended
runs 0 ksplice-view
says "^  on probation, and watched by nobody; ksplice-boot --watch=calm would do it$"
ksplice-boot --watch=calm &
until_it grep -q "watcher\": $!," /var/lib/ksplice/boot.json
runs 0 ksplice-undo calm
wait $! || fail "the watcher fails"
[ ! -e /var/lib/ksplice ] || fail "something is left"

echo "== the kernel warns"
runs 0 ksplice-apply --probation=1h ksplice-warns.tar.gz
cat /proc/version >/dev/null
until_it gone warns
runs 0 ksplice-view
says "^warns: in quarantine: on probation: warning: .*version_proc_show"
echo "== done"
EOS
boot_vm --file "$WORK/ksplice-calm.tar.gz" --file "$WORK/ksplice-warns.tar.gz" --console "$WORK/console" \
  --provoked 'cut here|WARNING: .*version_proc_show|Call Trace:' <"$WORK/guest" | tee "$WORK/transcript"
[ "$(tail -n 1 "$WORK/transcript")" = "== done" ] || fail "the transcript is not whole"
