#!/usr/bin/env bash
# A sample of the campaign (tests/mutate/run): small changes of five units, none of which may be dropped.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
get_kernel
"$SOURCE_TREE/tests/mutate/run" --series "$own_series" --per-shape 2 --longest 9 \
  --only lib/kstrtox.c,block/ioctl.c,kernel/notifier.c,lib/klist.c,fs/fs_struct.c >"$WORK/log" || fail "$(cat "$WORK/log")"
expect '^\| mutants with a real change \| [3-9][0-9] \|$' "$WORK/log"
expect '^\| \*\*dropped\*\* \| 0 \|$' "$WORK/log"
