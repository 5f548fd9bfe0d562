#!/usr/bin/env bash
# tests/vm/boot passes the script's status on, and fails on splats whatever the script says.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
for series in 6.1 6.12; do
  get_kernel --series "$series"
  boot_vm --module loop >"$WORK/out" <<<'modprobe loop && ping -c 1 127.0.0.1'
  expect '1 packets received' "$WORK/out"
  exits 7 boot_vm <<<'exit 7'
  exits 125 boot_vm <<<'dmesg -n 1; echo c >/proc/sysrq-trigger; exit 0' 2>"$WORK/err"
  expect 'sysrq triggered crash' "$WORK/err"
  exits 125 boot_vm <<<'echo "<4>WARNING: CPU: 0 at test" >/dev/kmsg; exit 0' 2>"$WORK/err"
  exits 124 boot_vm --timeout 15 <<<'sleep 100' 2>"$WORK/err"
done
