#!/usr/bin/env bash
# 500 times an update of two targets is applied and undone while two processors fork, execute, read,
# send and signal, load modules, and call what is patched, and probes and tracers of it come and go: old and new code
# never meet in one call, and nothing is refused.
# KSPLICE_CYCLES is the number of times.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/vm/core/lib.sh
. "$SOURCE_TREE/tests/vm/core/lib.sh"
cycles=${KSPLICE_CYCLES:-500}
for series in ${SERIES:-$all_series}; do
  get_core_kernel "$series"
  build_core
  boot_core --single --timeout $((120 + cycles * 3)) --append "nokaslr cycles=$cycles" \
    <"$SOURCE_TREE/tests/vm/core/load.guest" | tee "$WORK/transcript"
  expect "^mixed 0 old [1-9][0-9]* new [1-9][0-9]*$" "$WORK/transcript"
  expect "^== done $cycles$" "$WORK/transcript"
  expect '^tracers came and went [1-9][0-9]* times; 0 of [1-9]' "$WORK/transcript"
done
