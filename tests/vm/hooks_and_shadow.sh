#!/usr/bin/env bash
# The two examples with hooks and shadow variables, from the patch to the undo.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
examples=$SOURCE_TREE/examples
for series in ${SERIES:-6.1 6.12}; do
  get_kernel --series "$series"
  rm -rf "$WORK/out"
  mkdir "$WORK/out"
  "$create" --patch="$examples/read-count/read-count.patch" --config="$CONFIG" --id=readcount \
    --description="count reads" --output="$WORK/out" -q "$SOURCE"
  "$create" --patch="$examples/console-level/console-level.patch" --config="$CONFIG" --id=level \
    --description="raise the level" --output="$WORK/out" -q "$SOURCE"
  boot_vm --file "$WORK/out/ksplice-readcount.tar.gz" --file "$WORK/out/ksplice-level.tar.gz" \
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
