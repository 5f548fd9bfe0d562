#!/usr/bin/env bash
# A task that sleeps in the function to be replaced: said who it is, nothing left behind, and the two
# ways on: --allow-busy, or waiting until it is gone. The same for undo, and for a kernel thread that never leaves.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
get_kernel
make_patch kernel/time/hrtimer.c '/^long hrtimer_nanosleep/,/^}/s/ret = do_nanosleep(&t, mode);/ret = rqtp == 1234000 ? -EDOM : do_nanosleep(\&t, mode);/'
"$create" --patch="$WORK/patch" --config="$CONFIG" --id=nap --description="for sleepers" --output="$WORK" -q "$SOURCE"
# A function that is gone, and that nobody comes to any more, is not replaced; but one who sleeps in it would go on.
make_patch kernel/time/hrtimer.c 's/\bdo_nanosleep\b/do_nap/'
"$create" --patch="$WORK/patch" --config="$CONFIG" --id=gone --output="$WORK" -q "$SOURCE"
# The main loop of a kernel thread, which never ends: create asks for consent, and the tarball carries it.
make_patch kernel/audit.c '/^static int kauditd_thread/,/^}/s/wake_up(&audit_backlog_wait);/{ wake_up(\&audit_backlog_wait); cond_resched(); }/'
refused_create 3 always_busy --patch="$WORK/patch" "$SOURCE"
expect '^hint: .* --allow-busy=kauditd_thread$' "$WORK/err"
"$create" --patch="$WORK/patch" --config="$CONFIG" --id=loop --allow-busy=kauditd_thread --output="$WORK" -q "$SOURCE"
boot_vm --file "$WORK/ksplice-nap.tar.gz" --file "$WORK/ksplice-gone.tar.gz" --file "$WORK/ksplice-loop.tar.gz" --console "$WORK/console" <<'EOS' | tee "$WORK/transcript"
stage=/sys/kernel/ksplice/nap/stage
busy() { # WHERE COMMAND...: refused because of the sleeping task, which is named
  where=$1
  shift
  "$@" --attempts 3 --timeout 2 --raw-errors >/tmp/out 2>/tmp/err
  status=$?
  [ $status = 3 ] && [ "$(head -n 1 /tmp/err)" = code_busy ] &&
    [ "$(sed -n 2p /tmp/err)" = "sleep $sleeper $where" ] && grep -q "task sleep pid $sleeper is in " /tmp/err &&
    grep -q 'hrtimer_nanosleep+0x' /tmp/err && grep -q '^hint: ' /tmp/err || status=bad
  case "$*" in *apply*) grep -q '^hint: .* --allow-busy=hrtimer_nanosleep$' /tmp/err || status=hint ;; esac
  [ $status = 3 ] && return
  echo "status $status, expected 3 and the sleeping task: $*"
  cat /tmp/err
  exit 1
}
sleep 1000 &
sleeper=$!
usleep 300000

busy hrtimer_nanosleep ksplice-apply ksplice-nap.tar.gz
cat /tmp/err
busy hrtimer_nanosleep ksplice-apply --check ksplice-nap.tar.gz
ksplice-apply --json --attempts 3 ksplice-nap.tar.gz >/tmp/out && exit 1
grep -q '"code": "code_busy"' /tmp/out || exit 1
grep ksplice /proc/modules && exit 1
[ -e /var/lib/ksplice ] && exit 1
ksplice-apply --allow-busy=hrtimer_nanosleep --attempts 3 --timeout 2 --raw-errors ksplice-gone.tar.gz 2>/tmp/err && exit 1
grep -qx "sleep $sleeper do_nanosleep" /tmp/err || { cat /tmp/err; exit 1; }

ksplice-apply --allow-busy=hrtimer_nanosleep ksplice-nap.tar.gz || exit 1
ksplice-view --id=nap | grep -x 'allow_busy: hrtimer_nanosleep' || exit 1
ksplice-view --id=nap | grep 'function hrtimer_nanosleep .*, redirect: handler (its old code may stay in use)$' || exit 1
ksplice-view --id=nap | grep -x "still in the old code, until it returns: task sleep pid $sleeper is in hrtimer_nanosleep" || exit 1
kill $sleeper
usleep 100000
ksplice-view --id=nap | grep "still in the old code" && exit 1
sleep 1000 &
sleeper=$!
usleep 300000
busy ksplice_nap_vmlinux ksplice-undo nap
[ "$(cat $stage)" = applied ] || exit 1
kill $sleeper
ksplice-undo nap || exit 1

ksplice-apply ksplice-nap.tar.gz && ksplice-undo nap || exit 1

ksplice-apply ksplice-loop.tar.gz || exit 1
ksplice-view --id=loop | grep -x 'still in the old code, until it returns: task kauditd pid [0-9]* is in kauditd_thread' || exit 1
ksplice-undo loop || exit 1
grep ksplice /proc/modules && exit 1
echo "== done"
EOS
[ "$(tail -n 1 "$WORK/transcript")" = "== done" ] || fail "the transcript is not whole"
