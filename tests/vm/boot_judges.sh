#!/usr/bin/env bash
# tests/vm/boot passes the script's status on, fails on splats whatever the script says, and leaves nothing
# running when it is killed.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
for series in $all_series; do
  get_kernel --series "$series"
  boot_vm --module loop >"$WORK/out" <<<'modprobe loop && ping -c 1 127.0.0.1'
  expect '1 packets received' "$WORK/out"
  exits 7 boot_vm <<<'exit 7'
  exits 125 boot_vm <<<'dmesg -n 1; echo c >/proc/sysrq-trigger; exit 0' 2>"$WORK/err"
  expect 'sysrq triggered crash' "$WORK/err"
  exits 125 boot_vm <<<'echo "<4>WARNING: CPU: 0 at test" >/dev/kmsg; exit 0' 2>"$WORK/err"
  exits 124 boot_vm --timeout 15 <<<'sleep 100' 2>"$WORK/err"
done

# A stock kernel that dies before the script is the emulator's fault, and is started once more.
cat >"$WORK/fragile" <<'EOS'
#!/bin/sh
if mkdir "$0.ran"; then
  for word; do case $word in file:*/console) echo "[    0.7] Oops: 0000 [#1] PREEMPT SMP" >"${word#file:}" ;; esac; done
  exit 0
fi
exec qemu-system-x86_64 "$@"
EOS
chmod +x "$WORK/fragile"
KSPLICE_QEMU=$WORK/fragile boot_vm >"$WORK/out" 2>"$WORK/err" <<<'echo fine'
expect '^fine$' "$WORK/out"
expect 'the emulator failed while the kernel started; once more' "$WORK/err"

# Its processes are known by the folders in their command lines.
mkdir "$WORK/tmp"
boot="^\S*python3 .*/tests/vm/boot .*--script $WORK/"
emulator="^qemu-system-x86_64 .*$WORK/tmp/"
for signal in TERM KILL; do
  TMPDIR=$WORK/tmp boot_vm <<<'sleep 100' 2>"$WORK/err" &
  for _ in {1..100}; do ! pgrep -f "$emulator" >"$WORK/pid" || break; sleep 0.1; done
  [ -s "$WORK/pid" ] || fail "no emulator was started"
  kill "-$signal" "$(pgrep -f "$boot")"
  exits $((128 + $(kill -l $signal))) wait $!
  for _ in {1..50}; do pgrep -f "$emulator" >/dev/null || break; sleep 0.1; done
  ! pgrep -f "$emulator" || fail "SIG$signal leaves the emulator running"
  [ $signal = KILL ] || [ -z "$(ls "$WORK/tmp")" ] || fail "SIG$signal leaves its folder"
done
