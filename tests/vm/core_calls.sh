#!/usr/bin/env bash
# Of ten million calls and more of a function that a jump redirects none runs the old body, while probes and tracers of
# it come and go.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/vm/core/lib.sh
. "$SOURCE_TREE/tests/vm/core/lib.sh"
for series in ${SERIES:-$all_series}; do
  get_core_kernel "$series"
  build_core
  boot_core --single --timeout 1800 <"$SOURCE_TREE/tests/vm/core/calls.guest" | tee "$WORK/transcript"
  expect '^[1-9][0-9]{7,} calls, all of the new body; tracers came and went [1-9][0-9]+ times, probes saw [1-9][0-9]*$' "$WORK/transcript"
  expect '^== done$' "$WORK/transcript"
done
