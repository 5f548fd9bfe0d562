#!/usr/bin/env bash
# Every allocation that the kernel makes for the core, its own and those of what it calls, fails once: at loading
# the core, loading, checking, applying, reading, undoing and unloading an update. Each time all or nothing is
# done, as it was said, and the next try works. Runs on the kernel that watches itself: debug-kernel makes it.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/vm/core/lib.sh
. "$SOURCE_TREE/tests/vm/core/lib.sh"
export KSPLICE_DEBUG=1
get_core_kernel "${SERIES:-$own_series}"
build_core
boot_core --single --timeout 1800 --append "nokaslr log_buf_len=16M" --console "$WORK/console" \
  <"$SOURCE_TREE/tests/vm/core/fail_nth.guest" | tee "$WORK/transcript"
for operation in core load check applied read setting reversed unload; do
  expect "^$operation: [0-9]+ places, [0-9]+ refused$" "$WORK/transcript"
done
expect '^== done$' "$WORK/transcript"
