#!/usr/bin/env bash
# The core alone, with hand-made updates: every operation, every abort code that it has by itself,
# and its behaviour beside livepatch, kprobes and the function tracers. The transcript is whole.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/vm/core/lib.sh
. "$SOURCE_TREE/tests/vm/core/lib.sh"
for series in ${SERIES:-6.1 6.12}; do
  get_kernel --series "$series"
  build_core
  boot_core --timeout 600 --console "$WORK/console" <"$SOURCE_TREE/tests/vm/core/operations.guest" >"$WORK/transcript" ||
    fail "the guest failed on $series: $(cat "$WORK/transcript")"
  sed -i 's/ pid [0-9]*/ pid N/; s/+0x[0-9a-f]*//; s/expected [0-9a-f]*, found [0-9a-f]*/expected X, found Y/' \
    "$WORK/transcript"
  diff -u "$SOURCE_TREE/tests/vm/core/operations.expected" "$WORK/transcript" ||
    fail "the transcript on $series is not the expected one"
  for hook in pre_apply check_apply apply post_apply pre_reverse check_reverse reverse post_reverse; do
    expect "hook $hook of ksplice_one" "$WORK/console"
  done
  expect 'hook fail_apply of ksplice_one' "$WORK/console"
  expect 'hook fail_reverse of ksplice_one' "$WORK/console"
done
