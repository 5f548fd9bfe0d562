#!/usr/bin/env bash
# Five of Debian's own fixes, created and tried on the kernel that lacks them.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
how=(--sample 5)
[ "$own_series" = 6.1 ] || how=(--series "$own_series" --select 5)
"$SOURCE_TREE/tests/realfix/run" "${how[@]}" --results "$WORK" --work "$WORK/work"
