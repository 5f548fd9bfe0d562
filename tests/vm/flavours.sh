#!/usr/bin/env bash
# The kernels in their other flavours, and the one of trixie-backports: the example, hooks and shadow variables, updates
# on top of each other with a module among their targets, an undo that keeps what is in use, and the comparison with the
# running kernel. SERIES names other kernels, TESTS other tests. All are tried; prints a table of what was seen. Of the
# rt kernels before 6.13 the newest is taken of which the archive has the patches (tests/kernel).
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
kernels=${SERIES:-6.1-generic 6.1-rt 6.12-generic 6.12+deb13-generic 6.12+deb13-rt 7.3+deb13 7.3+deb13-generic 7.3+deb13-rt}
failed=
for series in $kernels; do
  get_kernel --series "$series"
  for test in ${TESTS:-main_job hooks_and_shadow stacking undo_kept live_check}; do
    seen=passed
    SERIES=$series bash "$SOURCE_TREE/tests/vm/$test.sh" >"$WORK/log" 2>&1 || seen=failed
    echo "$VERSION ($RELEASE) | $test | $seen"
    [ $seen = passed ] || { failed=yes && cat "$WORK/log"; }
  done
done
[ -z "$failed" ] || fail "not all passed"
