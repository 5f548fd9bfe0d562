#!/usr/bin/env bash
# The C++ is as clang-format 14 writes it, where there is one (Debian 12), and the shell scripts are as shellcheck likes them.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
cd "$SOURCE_TREE"
command -v shellcheck >/dev/null || skip "no shellcheck"
formatter=$(command -v clang-format-14 || grep -q "^VERSION_ID=.13" /etc/os-release) || skip "no clang-format-14"
mapfile -t sources < <(find objdiff create apply tests -name '*.cc' -o -name '*.h')
for source in "${sources[@]}"; do
  [ -n "$formatter" ] || break
  "$formatter" "$source" | cmp -s - "$source" || echo "$source"
done >"$WORK/unformatted"
[ ! -s "$WORK/unformatted" ] || fail "not as clang-format-14 writes it: $(tr '\n' ' ' <"$WORK/unformatted")"
# Not every standard library brings it along with others.
grep -lE 'std::(find_if|sort|stable_sort|any_of|all_of|none_of|max|min|count|count_if|copy|equal|replace|fill|lower_bound|upper_bound)\(' \
  "${sources[@]}" | xargs grep -L '^#include <algorithm>' >"$WORK/without" || true
[ ! -s "$WORK/without" ] || fail "no #include <algorithm> in: $(tr '\n' ' ' <"$WORK/without")"
mapfile -t scripts < <(grep -rlE '^#!.*\b(ba)?sh$' .ci cmake examples findings packaging tests)
shellcheck -x "${scripts[@]}" tests/lib.sh
