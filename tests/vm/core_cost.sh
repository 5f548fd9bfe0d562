#!/usr/bin/env bash
# A call of a patched function costs two instructions more at most where it is redirected by a jump, four where that counts it, and no more
# than with the kernel's own livepatch where the handler does it, with any number of functions in the update. Counted by qemu -icount, so the figures repeat.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/vm/core/lib.sh
. "$SOURCE_TREE/tests/vm/core/lib.sh"
cost() { awk -v what="$1" '$1 == what { print int($2 / 100) }' "$WORK/transcript"; }
for series in ${SERIES:-$all_series}; do
  get_core_kernel "$series"
  build_core
  boot_core --single --icount --cpus 1 --timeout 600 <"$SOURCE_TREE/tests/vm/core/cost.guest" >"$WORK/transcript"
  echo "instructions of a call on $series:"
  cat "$WORK/transcript"
  [ "$(cost unpatched)" -lt "$(cost one_function)" ] || fail "a patched call costs nothing: it is not patched"
  for what in jump many_jumps; do
    [ $(($(cost $what) - $(cost unpatched))) -le 2 ] || fail "a call through a jump costs more than two instructions"
  done
  [ $(($(cost counted_jump) - $(cost unpatched))) -le 4 ] || fail "a call that a jump counts costs more than four instructions"
  [ $(($(cost counted_jumps) - $(cost unpatched))) -le 5 ] || fail "a call that a jump counts costs more in a large update"
  [ "$(cost one_function)" -le "$(cost livepatch)" ] || fail "a call costs more than with livepatch"
  [ "$(cost many_functions)" -le $(($(cost one_function) + 3)) ] || fail "a call costs more in a large update"
  [ "$(cost not_counted)" -le "$(cost one_function)" ] || fail "not counting costs more than counting"
done
