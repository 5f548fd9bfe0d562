#!/usr/bin/env bash
# The C++ is as clang-format 14 writes it, and the shell scripts are as shellcheck likes them.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
cd "$SOURCE_TREE"
for tool in clang-format-14 shellcheck; do
  command -v "$tool" >/dev/null || skip "no $tool"
done
mapfile -t sources < <(find objdiff create apply tests -name '*.cc' -o -name '*.h')
for source in "${sources[@]}"; do
  clang-format-14 "$source" | cmp -s - "$source" || echo "$source"
done >"$WORK/unformatted"
[ ! -s "$WORK/unformatted" ] || fail "not as clang-format-14 writes it: $(tr '\n' ' ' <"$WORK/unformatted")"
mapfile -t scripts < <(grep -rlE '^#!.*\b(ba)?sh$' .ci cmake examples findings tests)
shellcheck -x "${scripts[@]}" tests/lib.sh
