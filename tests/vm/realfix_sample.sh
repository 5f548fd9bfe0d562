#!/usr/bin/env bash
# Five of Debian's own fixes, created and tried on the kernel that lacks them.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
"$SOURCE_TREE/tests/realfix/run" --sample 5 --results "$WORK" --work "$WORK/work"
