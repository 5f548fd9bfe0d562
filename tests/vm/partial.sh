#!/usr/bin/env bash
# One update for vmlinux and two modules, of which one calls a new function in vmlinux: refused, or in
# part, while a module is not loaded; what comes later is found, is not in the way of an undo, and is
# patched by applying again.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
get_kernel
make_patch fs/proc/cmdline.c "s/seq_putc(m, '.n');/seq_puts(m, \" patched\\\\n\");/
  s/^#include <linux.init.h>/&\n#include <linux\/export.h>/
  \$a int parts_mtu(void);\nint parts_mtu(void) { return 1234; }\nEXPORT_SYMBOL_GPL(parts_mtu);" && cat "$WORK/patch" >"$WORK/all.patch"
make_patch drivers/net/dummy.c 's/dev->max_mtu = 0;/dev->max_mtu = 0; dev->mtu = parts_mtu();/;
  s/^static void dummy_setup/int parts_mtu(void);\n&/' && cat "$WORK/patch" >>"$WORK/all.patch"
make_patch drivers/net/ifb.c 's/dev->tx_queue_len = TX_Q_LIMIT;/dev->tx_queue_len = 77;/' && cat "$WORK/patch" >>"$WORK/all.patch"
"$create" --patch="$WORK/all.patch" --config="$CONFIG" --id=parts --description="three targets" --build-modules --output="$WORK" --json "$SOURCE" >"$WORK/json"
expect 'dummy is not in the tarball as a whole module: it uses parts_mtu' "$WORK/json"

# The same module with another build id, and without its signature, which would no longer hold.
python3 - "$CONFIG"/modules/kernel/drivers/net/dummy.ko* "$WORK/dummy.ko" <<'EOS'
import lzma, sys
data = open(sys.argv[1], "rb").read()
data = bytearray(lzma.decompress(data) if sys.argv[1].endswith(".xz") else data)
note = data.index(b"\4\0\0\0\x14\0\0\0\3\0\0\0GNU\0") + 16
data[note] ^= 1
magic = b"~Module signature appended~\n"
if data.endswith(magic):
    end = len(data) - len(magic)
    del data[end - 12 - int.from_bytes(data[end - 4:end], "big"):]
open(sys.argv[2], "wb").write(data)
EOS

boot_vm --module dummy --module ifb --file "$WORK/ksplice-parts.tar.gz" --file "$WORK/dummy.ko" \
  --console "$WORK/console" <<'EOS' | tee "$WORK/transcript"
refused() { # CODE WORDS COMMAND...
  code=$1 words=$2
  shift 2
  "$@" >/tmp/out 2>/tmp/err
  status=$?
  [ $status = 3 ] && [ "$(head -n 1 /tmp/err)" = "$code" ] && grep -q "$words" /tmp/err && return
  echo "status $status, expected 3, $code and '$words': $*"
  cat /tmp/err
  exit 1
}
check() { "$@" || { echo "failed: $*"; ksplice-view --id=parts; exit 1; }; }
value() { # TYPE FILE: of a new network device
  ip link add probe0 type "$1" && cat "/sys/class/net/probe0/$2" && ip link del probe0
}

refused target_not_loaded "dummy, ifb" ksplice-apply --raw-errors ksplice-parts.tar.gz
check [ ! -e /sys/module/ksplice ]
insmod dummy.ko
refused wrong_module "dummy" ksplice-apply --raw-errors --partial ksplice-parts.tar.gz
rmmod dummy
modprobe dummy numdummies=0
refused target_not_loaded ": ifb" ksplice-apply --raw-errors ksplice-parts.tar.gz

check ksplice-apply --partial --late=allow ksplice-parts.tar.gz | tee /tmp/out
check grep -x "Skipped ifb: not loaded" /tmp/out
check grep -q patched /proc/cmdline
check [ "$(value dummy mtu)" = 1234 ]
# Unloaded, and loaded again: as the host allows that, it is as it was until the update is applied again.
check rmmod dummy
modprobe dummy numdummies=0
check [ "$(value dummy mtu)" = 1500 ]
ksplice-view | grep "module dummy was loaded later and is not patched" || exit 1
check ksplice-apply --partial --late=allow ksplice-parts.tar.gz
check [ "$(value dummy mtu)" = 1234 ]
ksplice-view --id=parts
ksplice-view | grep later && exit 1

modprobe ifb numifbs=0
check [ "$(value ifb tx_queue_len)" = 32 ]
ksplice-view
check [ "$(ksplice-view | grep -c 'module ifb was loaded later')" = 1 ]
check ksplice-undo parts
check [ "$(value dummy mtu)" = 1500 ]
check [ "$(value ifb tx_queue_len)" = 32 ]
check [ ! -e /sys/module/ksplice ]
rmmod ifb
check ksplice-apply --partial --late=allow ksplice-parts.tar.gz
check ksplice-apply --extract-modules=/tmp ksplice-parts.tar.gz
check insmod /tmp/ifb.ko numifbs=0
check [ "$(value ifb tx_queue_len)" = 77 ]
refused cold_update_loaded ifb ksplice-undo --raw-errors parts
check [ "$(value dummy mtu)" = 1234 ]
rmmod ifb
modprobe ifb numifbs=0
check ksplice-apply -v ksplice-parts.tar.gz
check [ "$(value ifb tx_queue_len)" = 77 ]
check [ "$(ksplice-apply ksplice-parts.tar.gz)" = "Update parts is already applied." ]
ksplice-view | grep later && exit 1
check [ "$(ksplice-view --id=parts --json | grep -c '"state": "applied"')" = 3 ]

check ksplice-undo parts
grep patched /proc/cmdline && exit 1
check [ "$(value dummy mtu)" = 1500 ]
check [ "$(value ifb tx_queue_len)" = 32 ]
check rmmod dummy ifb
grep ksplice /proc/modules && exit 1
echo "== done"
EOS
[ "$(tail -n 1 "$WORK/transcript")" = "== done" ] || fail "the transcript is not whole"
