#!/usr/bin/env bash
# An update gives the addresses of its functions and data to a timer, a work item, a high-resolution timer, a
# thread, a notifier, /proc, /sys and a tasklet. Undone with all of them alive it stays in memory and they go on;
# it can be applied again. Another one, whose hooks take back what it gave, goes.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
get_kernel "$@"
build_module "$SOURCE_TREE/tests/data/pulse"
for id in given taken_back; do
  "$create" --module-source="$WORK/pulse" --patch="$WORK/pulse/$id.patch" --config="$CONFIG" --id=$id \
    --output="$WORK" "$SOURCE" >"$WORK/$id" 2>&1 || fail "$(cat "$WORK/$id")"
done
expect 'may be in use after an undo of pulse: fresh_timer is passed to mod_timer' "$WORK/given"
expect 'an undo keeps ksplice_given_pulse in memory' "$WORK/given"
expect 'the patch declares that its reverse hooks take these addresses back' "$WORK/taken_back"
"$view" --file="$WORK/ksplice-given.tar.gz" >"$WORK/view"
expect 'stays after an undo: fresh_block is passed to register_netdevice_notifier' "$WORK/view"

boot_vm --file "$WORK/ksplice-given.tar.gz" --file "$WORK/ksplice-taken_back.tar.gz" --file "$WORK/pulse/pulse.ko" \
  <<'EOS' | tee "$WORK/transcript"
check() { "$@" || { echo "failed: $*"; ksplice-view; dmesg | tail -n 20; exit 1; }; }
counter() { sed -n "$1p" /proc/pulse; }
# goes_on N: the N-th counter counts within two seconds.
goes_on() {
  before=$(counter "$1")
  for _ in $(seq 20); do
    cat /proc/fresh /sys/kernel/fresh_pulse >/tmp/out 2>&1
    ifconfig lo down; ifconfig lo up
    [ "$(counter "$1")" = "$before" ] || return 0
    usleep 100000
  done
  return 1
}
check insmod pulse.ko
check ksplice-apply ksplice-taken_back.tar.gz
echo 1 >/proc/pulse
check goes_on 1
check ksplice-undo taken_back
[ ! -e /sys/module/ksplice ] || { echo "failed: the core is still there"; exit 1; }
goes_on 1 && { echo "failed: the timer goes on"; exit 1; }

check ksplice-apply ksplice-given.tar.gz
echo 1 >/proc/pulse
for i in 1 2 3 4 5 6 7; do check goes_on $i; done
check ksplice-undo given >/tmp/out
cat /tmp/out
check grep -q 'fresh_block is passed to register_netdevice_notifier' /tmp/out
for i in 1 2 3 4 5 6 7; do check goes_on $i; done
[ "$(counter 8)" -gt 0 ] || exit 1
echo 1 2>/dev/null >/proc/pulse && { echo "failed: the function is not the original one"; exit 1; }
ksplice-view >/tmp/out
check grep -q '^given: .*(reversed, kept)$' /tmp/out
ksplice-view --id=given >/tmp/out
check grep -q '^stays in memory: fresh_timer is passed to mod_timer' /tmp/out
for module in ksplice_given_pulse ksplice pulse; do
  rmmod $module 2>/dev/null && { echo "failed: $module was unloaded"; exit 1; }
done
check ksplice-undo --json given >/tmp/out
check grep -q '"result": "kept"' /tmp/out
check ksplice-apply ksplice-taken_back.tar.gz
check ksplice-undo taken_back
check ksplice-apply ksplice-given.tar.gz
check ksplice-view --id=given >/tmp/out
check grep -q 'present and applied' /tmp/out
for i in 1 2 3 4; do check goes_on $i; done
check ksplice-undo given >/tmp/out
for i in 1 2 3 4 5 6 7; do check goes_on $i; done
echo "== done"
EOS
[ "$(tail -n 1 "$WORK/transcript")" = "== done" ] || fail "the transcript is not whole"
