#!/usr/bin/env bash
# Tarballs that were changed at random are refused or harmless: thousands are offered to the code of
# ksplice-apply here (FORGED, in one process), and those whose changed tables get past it, to ksplice-apply and
# the core in a guest (OFFERED). Nothing may crash, and nothing may be left.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/vm/core/lib.sh
. "$SOURCE_TREE/tests/vm/core/lib.sh"
offered=${OFFERED:-100}
get_kernel --series "${SERIES:-$own_series}"
cmake --build "$BUILD" --target forge_package >"$WORK/build.log" 2>&1 || fail "$(cat "$WORK/build.log")"
"$create" --patch="$SOURCE_TREE/examples/tcp-drop-6688/tcp-drop-6688.patch" --config="$CONFIG" --id=forged \
  --output="$WORK" -q "$SOURCE"
core_symbols >"$WORK/kallsyms"
mkdir "$WORK/kept"
"$BUILD/tests/forge_package" --kallsyms "$WORK/kallsyms" --times "${FORGED:-6000}" --seed "${SEED:-1}" \
  --keep "$WORK/kept" --kept "$offered" "$WORK/ksplice-forged.tar.gz"
files=()
for tarball in "$WORK"/kept/*; do files+=(--file "$tarball:root/kept/$(basename "$tarball")"); done
boot_vm "${files[@]}" --append nokaslr --timeout $((180 + offered * 30)) --console "$WORK/console" <<'EOS' | tee "$WORK/transcript"
for tarball in kept/*; do
  ksplice-apply --timeout 2 --raw-errors "$tarball" >/tmp/out 2>/tmp/err
  status=$?
  [ $status -lt 4 ] || { echo "status $status: $tarball"; cat /tmp/err; exit 1; }
  [ $status = 0 ] && code=applied || code=$(head -n 1 /tmp/err)
  [ "$code" != failed ] || { echo "$tarball is refused for no known reason:"; cat /tmp/err; exit 1; }
  echo "$code" >>/tmp/codes
  for id in $(ls /sys/kernel/ksplice 2>/dev/null); do
    ksplice-view --id="$id" >/dev/null || exit 1
    ksplice-undo "$id" >/tmp/out 2>/tmp/err || { echo "undo of $tarball fails:"; cat /tmp/err; exit 1; }
  done
  if grep ksplice /proc/modules || [ -e /sys/kernel/ksplice ]; then echo "something is left of $tarball"; exit 1; fi
done
sort /tmp/codes | uniq -c
echo "== done"
EOS
[ "$(tail -n 1 "$WORK/transcript")" = "== done" ] || fail "the transcript is not whole"
