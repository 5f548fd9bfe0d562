#!/usr/bin/env bash
# A damaged or hostile tarball is refused when it is read; nothing of it reaches the disk.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
get_kernel
"$create" --patch="$SOURCE_TREE/examples/tcp-drop-6688/tcp-drop-6688.patch" --config="$CONFIG" --id=good \
  --output="$WORK" -q "$SOURCE"
"$view" --file="$WORK/ksplice-good.tar.gz" >"$WORK/out"
expect '^\+.*6688' "$WORK/out"
"$SOURCE_TREE/tests/mangle-tarball" "$WORK/ksplice-good.tar.gz" "$WORK/bad" >"$WORK/list"
while read -r tarball; do
  echo "$tarball"
  refused 1 bad_tarball "$view" --file="$tarball"
done <"$WORK/list"
[ "$(wc -l <"$WORK/list")" -ge 18 ] || fail "too few variants"
[ ! -e /etc/ksplice-was-here ] || fail "a tarball wrote outside its folder"
