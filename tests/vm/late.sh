#!/usr/bin/env bash
# Targets that come after an update was applied with --partial: stock modules are patched before their init code
# runs; one of which the init code fails is let go, and patched when it comes again; one that cannot be patched
# in time is loaded with a loud line, or refused. One that is patched can be unloaded, and comes again.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
get_kernel
make_patch fs/proc/cmdline.c "s/seq_putc(m, '.n');/seq_puts(m, \" patched\\\\n\");/" && cat "$WORK/patch" >"$WORK/all.patch"
make_patch drivers/net/dummy.c 's/dev->max_mtu = 0;/dev->max_mtu = 0; dev->mtu = 1234;/' && cat "$WORK/patch" >>"$WORK/all.patch"
make_patch drivers/net/ifb.c 's/dev->tx_queue_len = TX_Q_LIMIT;/dev->tx_queue_len = 77;/' && cat "$WORK/patch" >>"$WORK/all.patch"
make_patch drivers/block/loop.c 's/^found:$/& pr_info("patched code of loop\\n");/' && cat "$WORK/patch" >>"$WORK/all.patch"
"$create" --patch="$WORK/all.patch" --config="$CONFIG" --id=late --description="four targets" --output="$WORK" "$SOURCE"
# New code that gives away the address of a lock's key stays in memory.
make_patch fs/proc/version.c 's/^\tseq_printf(m, linux_proc_banner,/seq_puts(m, "patched "); &/' && cat "$WORK/patch" >"$WORK/keeps.patch"
make_patch drivers/block/loop.c 's/^\tlo->worker_tree = RB_ROOT;/& pr_info("patched code in %s\\n", current->comm);/' &&
  cat "$WORK/patch" >>"$WORK/keeps.patch"
"$create" -q --patch="$WORK/keeps.patch" --config="$CONFIG" --id=keeps --output="$WORK" "$SOURCE"

# One that is for a module alone.
make_patch drivers/net/dummy.c 's/dev->max_mtu = 0;/dev->max_mtu = 0; dev->mtu = 2345;/'
"$create" -q --patch="$WORK/patch" --config="$CONFIG" --id=alone --output="$WORK" "$SOURCE"

# One that says that it is the update.
mkdir "$WORK/other"
make_patch drivers/net/dummy.c 's/dev->max_mtu = 0;/dev->max_mtu = 0; dev->mtu = 6666;/'
"$create" -q --patch="$WORK/patch" --config="$CONFIG" --id=late --output="$WORK/other" "$SOURCE"
mv "$WORK/other/ksplice-late.tar.gz" "$WORK/other.tar.gz"

boot_vm --program /usr/bin/flock --file "$WORK/other.tar.gz" --module dummy --module ifb --module loop --file "$WORK/ksplice-late.tar.gz" --file "$WORK/ksplice-keeps.tar.gz" --file "$WORK/ksplice-alone.tar.gz" \
  --console "$WORK/console" <<'EOS' | tee "$WORK/transcript"
check() { "$@" || { echo "failed: $*"; ksplice-view --id=late; dmesg | tail -n 40; exit 1; }; }
logged() { # WORDS
  dmesg | grep -q "$1" || { echo "not in the log: $1"; dmesg | tail -n 40; exit 1; }
}
applied() { ksplice-view --id=late | grep -q "^target $1: module .*, applied"; }
alone() { ! ksplice-view | grep -q "was loaded later"; }
P=/sys/module/ksplice/parameters

echo "-- an update that has nothing left in the kernel but its name waits, too"
check modprobe dummy numdummies=0
check ksplice-apply ksplice-alone.tar.gz
for _ in 1 2; do
  check rmmod dummy
  check modprobe dummy numdummies=1
  check [ "$(cat /sys/class/net/dummy0/mtu)" = 2345 ]
done
check rmmod dummy
check ksplice-undo alone

check ksplice-apply --partial ksplice-late.tar.gz
check grep -q patched /proc/cmdline
check [ "$(cat $P/late)" = patch ]
check [ "$(cat $P/helper)" = "$(readlink -f "$(command -v ksplice-apply)")" ]

echo "-- two that come are patched before their init code makes their devices"
check modprobe dummy numdummies=1
check [ "$(cat /sys/class/net/dummy0/mtu)" = 1234 ]
check modprobe ifb numifbs=1
check [ "$(cat /sys/class/net/ifb0/tx_queue_len)" = 77 ]
check applied dummy
check applied ifb
check alone

echo "-- one that is unloaded is let go, and patched when it comes again"
for _ in 1 2; do
  check rmmod dummy
  logged "Update late has let go of module dummy"
  applied dummy && exit 1
  check modprobe dummy numdummies=1
  check [ "$(cat /sys/class/net/dummy0/mtu)" = 1234 ]
  check applied dummy
done

echo "-- init code fails, and the module comes again"
modprobe loop max_part=100000 2>/dev/null && { echo "its init code should fail"; exit 1; }
logged "Update late has let go of module loop"
check [ ! -e /sys/module/loop ]
applied loop && exit 1
check modprobe loop max_part=1
check applied loop
losetup -f
logged "patched code of loop"
check alone

echo "-- one that is gone is in nobody's way, nor in that of another one that comes again"
check rmmod ifb
check rmmod dummy
check modprobe dummy numdummies=1
check [ "$(cat /sys/class/net/dummy0/mtu)" = 1234 ]
check ksplice-apply ksplice-late.tar.gz
applied ifb && exit 1
echo "-- undo takes all of it away, and nobody waits then"
check ksplice-undo late
grep patched /proc/cmdline && exit 1
check ip link add probe0 type dummy
check [ "$(cat /sys/class/net/probe0/mtu)" = 1500 ]
check ip link del probe0
check rmmod dummy loop
grep ksplice /proc/modules && exit 1
check modprobe ifb numifbs=1
check [ "$(cat /sys/class/net/ifb0/tx_queue_len)" = 32 ]
check rmmod ifb

echo "-- undone before a target comes"
check ksplice-apply --partial --late=refuse --late-timeout=5 ksplice-late.tar.gz
check [ "$(cat $P/late)" = refuse ]
check [ "$(cat $P/late_timeout_ms)" = 5000 ]
check ksplice-undo late
check modprobe dummy numdummies=1
check [ "$(cat /sys/class/net/dummy0/mtu)" = 1500 ]
check rmmod dummy

echo "-- refused, as the program is not there"
check ksplice-apply --partial --late=refuse ksplice-late.tar.gz
helper=$(cat $P/helper)
echo /nowhere >$P/helper
dmesg -c >/dev/null
modprobe dummy numdummies=1 2>/dev/null && { echo "loaded unpatched"; exit 1; }
check [ ! -e /sys/module/dummy ]
logged "module dummy is NOT LOADED, as update late does not patch it"
echo "-- loaded unpatched, and said so, as it is not there or too slow"
check ksplice-apply --late=patch ksplice-late.tar.gz --partial
check [ "$(cat $P/helper)" = "$helper" ]
echo /nowhere >$P/helper
check modprobe dummy numdummies=1
check [ "$(cat /sys/class/net/dummy0/mtu)" = 1500 ]
logged "module dummy is loaded UNPATCHED, as update late does not patch it"
check [ "$(ksplice-view | grep -c 'module dummy was loaded later and is not patched')" = 1 ]
printf '#!/bin/busybox sh\nsleep 60\n' >/tmp/slow
chmod 755 /tmp/slow
echo /tmp/slow >$P/helper
echo 1000 >$P/late_timeout_ms
check modprobe ifb numifbs=1
check [ "$(cat /sys/class/net/ifb0/tx_queue_len)" = 32 ]
logged "module ifb is loaded UNPATCHED, .* does not answer in time"
echo "-- and patched by applying again"
check ksplice-apply --partial ksplice-late.tar.gz
check applied dummy
check applied ifb
check alone

echo "-- without the stored copy"
rm -r /var/lib/ksplice /run/ksplice/updates 2>/dev/null
echo "$helper" >$P/helper
echo 20000 >$P/late_timeout_ms
check modprobe loop
logged "module loop is loaded UNPATCHED"
logged "there is no stored copy of update late"
check ksplice-undo late
check rmmod dummy ifb loop
grep ksplice /proc/modules && exit 1

echo "-- another tarball in the place of the stored copy is not taken for it"
check ksplice-apply --partial ksplice-late.tar.gz
copy=$(find /var/lib/ksplice/updates/late -name '*.tar.gz')
cat "$copy" >/tmp/copy
cat other.tar.gz >"$copy"
dmesg -c >/dev/null
check modprobe dummy numdummies=1
check [ "$(cat /sys/class/net/dummy0/mtu)" = 1500 ]
logged "module dummy is loaded UNPATCHED"
logged "the stored copy of update late is not the one in the kernel"
cat /tmp/copy >"$copy"

echo "-- who has waited for a tool that undid the update does not bring it back"
# Who holds the lock is that tool.
(
  flock 9
  ksplice-apply --finish-target=dummy >/tmp/finish 2>&1 9>&- &
  echo $! >/tmp/pid
  sleep 3
  echo reversed >/sys/kernel/ksplice/late/stage
  rmmod ksplice_late_vmlinux
  exec 9>&-
  wait "$(cat /tmp/pid)" && echo "it says that it is done" >>/tmp/finish
) 9>/run/ksplice/lock
check grep -q "update late is not applied any more" /tmp/finish
grep "it says that it is done" /tmp/finish && exit 1
check [ "$(cat /sys/class/net/dummy0/mtu)" = 1500 ]
grep ksplice_late /proc/modules && exit 1
grep patched /proc/cmdline && exit 1
check ksplice-undo late
check rmmod dummy

echo "-- what may be in use stays when its target goes, and is in the way when that comes again"
check ksplice-apply --partial ksplice-keeps.tar.gz
modprobe loop max_part=100000 2>/dev/null && { echo "its init code should fail"; exit 1; }
logged "the update module ksplice_keeps_loop of update keeps stays in memory"
check grep -q "^ksplice_keeps_loop " /proc/modules
rmmod ksplice_keeps_loop 2>/dev/null && { echo "it was unloaded"; exit 1; }
dmesg -c >/dev/null
check modprobe loop max_part=1
logged "module loop is loaded UNPATCHED, as update keeps"
logged "module ksplice_keeps_loop, which was made for loop when that was loaded before, stays in memory"
dmesg | grep "patched code in" && exit 1
ksplice-apply --raw-errors ksplice-keeps.tar.gz 2>&1 | head -n 1 | grep -x module_busy || exit 1
check [ "$(ksplice-view | grep -c 'module loop was loaded later and is not patched')" = 1 ]
check ksplice-undo keeps
check rmmod loop
dmesg | grep -E "BUG|WARNING|Oops" && exit 1
echo "== done"
EOS
[ "$(tail -n 1 "$WORK/transcript")" = "== done" ] || fail "the transcript is not whole"
