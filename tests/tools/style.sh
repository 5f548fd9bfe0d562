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
mapfile -t scripts < <(grep -rlE '^#!.*\b(ba)?sh$' .ci cmake examples findings tests)
shellcheck -x "${scripts[@]}" tests/lib.sh
