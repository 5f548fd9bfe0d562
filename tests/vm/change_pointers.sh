#!/usr/bin/env bash
# A pointer in a read-only table of the kernel: refused with advice; with --change-pointers switched
# together with the code, and put back. A second update of the same pointer is refused. On 6.1, or on
# what SERIES names.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

try() { # --series S
  get_kernel "$@"
  make_patch drivers/char/mem.c '/^static const struct file_operations null_fops/,/^}/s/= write_null,/= write_null_told,/
/^static int uring_cmd_null/i static ssize_t write_null_told(struct file *file, const char __user *buf, size_t count, loff_t *ppos)\n{\n\treturn count == 4321 ? -EDOM : count;\n}\n'
  refused_create 3 data_changed --patch="$WORK/patch" "$SOURCE"
  expect 'null_fops.write changed at offset 0x' "$WORK/err"
  expect '^hint: .* --change-pointers=null_fops$' "$WORK/err"
  refused_create 3 data_changed --patch="$WORK/patch" --change-pointers=zero_fops "$SOURCE"
  for id in null other; do
    "$create" --patch="$WORK/patch" --config="$CONFIG" --id=$id --change-pointers=null_fops --output="$WORK" -q "$SOURCE"
  done
  "$view" --file="$WORK/ksplice-null.tar.gz" >"$WORK/view"
  expect 'switched with the code: 1 pointer of null_fops' "$WORK/view"
  boot_vm --file "$WORK/ksplice-null.tar.gz" --file "$WORK/ksplice-other.tar.gz" <<'EOS' | tee "$WORK/transcript"
write() { dd if=/dev/zero of=/dev/null bs=4321 count=1 2>/tmp/out; }
write || exit 1
exec 5>/dev/null # opened before the switch: it has the table, not a copy
ksplice-apply --check ksplice-null.tar.gz || exit 1
write || exit 1
ksplice-apply ksplice-null.tar.gz || exit 1
write && exit 1
grep 'domain' /tmp/out || exit 1
dd if=/dev/zero bs=4321 count=1 2>/dev/null >&5 && exit 1
dd if=/dev/zero of=/dev/null bs=4320 count=1 2>/dev/null || exit 1
ksplice-apply --raw-errors ksplice-other.tar.gz 2>/tmp/err && exit 1
cat /tmp/err
[ "$(head -n 1 /tmp/err)" = no_match ] || exit 1
grep 'the pointer null_fops+0x[0-9a-f]* is not what it was, expected write_null, found write_null_told' /tmp/err || exit 1
ls -d /sys/module/ksplice_other* 2>/dev/null && exit 1
ksplice-undo null || exit 1
write || exit 1
dd if=/dev/zero bs=4321 count=1 2>/dev/null >&5 || exit 1
ksplice-apply ksplice-other.tar.gz || exit 1
write && exit 1
ksplice-undo other || exit 1
write || exit 1
grep ksplice /proc/modules && exit 1
echo "== done"
EOS
  [ "$(tail -n 1 "$WORK/transcript")" = "== done" ] || fail "the transcript of $VERSION is not whole"
}
for series in ${SERIES:-$own_series}; do try --series "$series"; done
