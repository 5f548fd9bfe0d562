#!/usr/bin/env bash
# The two examples with hooks and shadow variables, from the patch to the undo.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
examples=$SOURCE_TREE/examples
# other_core TARBALL OUT: the same update with a core of another build id.
other_core() {
  python3 - "$@" <<'EOP'
import hashlib, io, sys, tarfile
with tarfile.open(sys.argv[1]) as archive:
    members = [(m, archive.extractfile(m).read() if m.isfile() else b"") for m in archive.getmembers()]
old = next(data for m, data in members if m.name.endswith("/ksplice.ko"))
new = bytearray(old)
new[old.index(b"\4\0\0\0\x14\0\0\0\3\0\0\0GNU\0") + 16] ^= 1
digest = [hashlib.sha256(data).hexdigest().encode() for data in (old, new)]
with tarfile.open(sys.argv[2], "w:gz") as archive:
    for member, data in members:
        data = bytes(new) if data == old else data.replace(*digest)
        archive.addfile(member, io.BytesIO(data) if member.isfile() else None)
EOP
}
for series in ${SERIES:-$all_series}; do
  get_kernel --series "$series"
  rm -rf "$WORK/out"
  mkdir "$WORK/out"
  "$create" --patch="$examples/read-count/read-count.patch" --config="$CONFIG" --id=readcount \
    --description="count reads" --output="$WORK/out" -q "$SOURCE"
  "$create" --patch="$examples/console-level/console-level.patch" --config="$CONFIG" --id=level \
    --description="raise the level" --output="$WORK/out" -q "$SOURCE"
  other_core "$WORK/out/ksplice-level.tar.gz" "$WORK/out/other-core.tar.gz"
  boot_vm --file "$WORK/out/other-core.tar.gz" --file "$WORK/out/ksplice-readcount.tar.gz" --file "$WORK/out/ksplice-level.tar.gz" \
    --console "$WORK/console" <<'EOS' | tee "$WORK/transcript"
must() { "$@" || { echo "FAILED: $*"; exit 1; }; }
is() { [ "$1" = "$2" ] || { echo "FAILED: expected '$1', found '$2'"; exit 1; }; }
last() { tail -n 1 /proc/version; }
version=$(cat /proc/version)
must ksplice-apply ksplice-readcount.tar.gz
is "read 1 times" "$(last)"
is "read 2 times" "$(last)"
is "read 1 times" "$(unshare --uts tail -n 1 /proc/version)"
is "read 3 times" "$(last)"
ksplice-apply --raw-errors other-core.tar.gz 2>/tmp/err && { echo "FAILED: used the core of another build"; exit 1; }
is wrong_core "$(head -n 1 /tmp/err)"
must ksplice-undo readcount
is "$version" "$(cat /proc/version)"
must ksplice-apply ksplice-readcount.tar.gz
is "read 1 times" "$(last)"
must ksplice-undo readcount

levels=$(cat /proc/sys/kernel/printk)
echo 0 4 1 7 >/proc/sys/kernel/printk
ksplice-apply --raw-errors ksplice-level.tar.gz 2>/tmp/err && { echo "FAILED: the check hook did not refuse"; exit 1; }
is call_failed "$(head -n 1 /tmp/err)"
is "$version" "$(cat /proc/version)"
echo "$levels" >/proc/sys/kernel/printk
must ksplice-apply ksplice-level.tar.gz
is "console level 10" "$(last)"
is "10 6" "$(cut -f 1,2 /proc/sys/kernel/printk | tr '\t' ' ')"
must ksplice-undo level
is "$levels" "$(cat /proc/sys/kernel/printk)"
is "$version" "$(cat /proc/version)"
echo "== done"
EOS
  [ "$(tail -n 1 "$WORK/transcript")" = "== done" ] || fail "the transcript is not whole"
done
