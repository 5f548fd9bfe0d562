#!/usr/bin/env bash
# Update modules whose tables were changed at random are refused or harmless, never a crash.
# KSPLICE_FORGED is the number of them, SEED that of the random numbers: a run can be made in pieces.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/vm/core/lib.sh
. "$SOURCE_TREE/tests/vm/core/lib.sh"
times=${KSPLICE_FORGED:-5000}
get_core_kernel "${SERIES:-$own_series}"
build_core
boot_core --single --timeout $((120 + times / 5)) --append "nokaslr times=$times seed=${SEED:-1}" \
  <"$SOURCE_TREE/tests/vm/core/forge.guest" | tee "$WORK/transcript"
[ "$(grep -c '^refused [1-9][0-9]* later [1-9][0-9]* applied [1-9][0-9]*$' "$WORK/transcript")" -eq 2 ] ||
  fail "not both kinds of updates were refused and applied"
expect '^== done$' "$WORK/transcript"
