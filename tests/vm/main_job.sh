#!/usr/bin/env bash
# The main job, judged, on both series: create, apply, view and undo the example on a stock kernel.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
example=$SOURCE_TREE/examples/tcp-drop-6688
for series in $all_series; do
  get_kernel --series "$series"
  mkdir "$WORK/$series"
  "$create" --patch="$example/tcp-drop-6688.patch" --config="$CONFIG" --id=tcpdrop \
    --description="drop TCP to port 6688" --output="$WORK/$series" "$SOURCE" | tee "$WORK/create"
  [ "$(tail -n 1 "$WORK/create")" = "Ksplice update tarball written to $WORK/$series/ksplice-tcpdrop.tar.gz" ] ||
    fail "the last line does not name the tarball"
  [ "$(stat -c %s "$WORK/$series/ksplice-tcpdrop.tar.gz")" -lt 1048576 ] || fail "the tarball is above 1 MiB"
  boot_vm <"$example/guest.sh" --console "$WORK/console" --file "$WORK/$series/ksplice-tcpdrop.tar.gz" \
    --file "$example/tcp-drop-6688.patch" | tee "$WORK/transcript"
  [ "$(tail -n 1 "$WORK/transcript")" = "== done" ] || fail "the transcript is not whole"
  expect 'ksplice: Update tcpdrop applied successfully' "$WORK/console"
done
