#!/usr/bin/env bash
# The machine stands still for at most twice an empty stop_machine() plus 2 microseconds a task and 2 a function that gets
# a jump: the emulator throws translated code away at every store to a page of it. An emulated processor may itself be stopped at any time: of three
# measurements the least counts.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/vm/core/lib.sh
. "$SOURCE_TREE/tests/vm/core/lib.sh"
get_core_kernel "${SERIES:-$own_series}"
build_core
for round in 1 2 3; do
  boot_core --single --memory 2048 --timeout 600 <"$SOURCE_TREE/tests/vm/core/pause.guest" |
    sed "s/^/$round /" | tee -a "$WORK/transcript"
done
awk '{
  key = $2 " " $3
  for (i = 4; i <= 10; i++) if (!((key, i) in least) || $i < least[key, i]) least[key, i] = $i
  keys[key] = $2
  functions[key] = $3
} END {
  for (key in keys) {
    print "least:", key, least[key, 4], least[key, 5], least[key, 6], least[key, 7], least[key, 8], least[key, 9], least[key, 10]
    limit = 2 * least[key, 4] + 2000 * (keys[key] + functions[key] + 60)
    for (i = 5; i <= 6; i++) if (least[key, i] > limit) { print key, least[key, i], "above", limit; bad = 1 }
  }
  exit bad
}' "$WORK/transcript" || fail "the pause is too long (tasks, functions, nanoseconds)"
