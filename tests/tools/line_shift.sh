#!/usr/bin/env bash
# Ten units of a stock kernel with every line moved by ten: the differ sees no difference.
# Needs a prepared kbuild output directory in KSPLICE_KBUILD; tests/line-shift says what that is.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
kbuild=${KSPLICE_KBUILD:-}
if [ -z "$kbuild" ] || [ ! -d "$kbuild/source/kernel" ]; then skip "no prepared kbuild directory in KSPLICE_KBUILD"; fi
KSPLICE_BUILD=$BUILD "$SOURCE_TREE/tests/line-shift" "$kbuild" 10 >"$WORK/log" || fail "$(cat "$WORK/log")"
expect '^10 units .*, 0 differ$' "$WORK/log"
