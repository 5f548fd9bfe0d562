#!/usr/bin/env bash
# The files of kmod-core stand in one order, the same in Kbuild and in core.h, and none uses what a later one
# defines: neither a function, nor a variable, nor a type of it. What is not in core.h is static or exported.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

# without_comments FILE
without_comments() {
  sed -E 's|//.*||' "$1" | awk 'BEGIN { RS = "\\*/"; ORS = "" } { sub(/\/\*.*/, ""); print }'
}

# layers FOLDER: says what is wrong with its order.
layers() {
  local folder=$1 files declared file name owner i
  files=$(sed -n '/^ksplice-y/,$p' "$folder/Kbuild" | grep -oE '[a-z0-9_]+\.o' | grep -v core_symbols | sed 's/\.o$/.c/')
  declared=$(grep -oE '^/\* [a-z0-9_]+\.c' "$folder/core.h" | cut -c4-)
  [ "$files" = "$declared" ] || echo "core.h and Kbuild differ: $(diff <(echo "$declared") <(echo "$files"))"
  for file in $files; do
    # The names that the header declares under this file.
    awk -v head="/* $file" '/^\/\* ([a-z0-9_]+\.c|Unexported)/ { on = index($0, head) == 1; next } on' "$folder/core.h" >"$WORK/section"
    { without_comments "$WORK/section" | grep -oE '\bksplice_[a-z0-9_]+ *[([;]|^struct ksplice_[a-z_]+ \{' || true; } |
      sed -E 's/^struct //; s/[ ([;{]+$//' | sort -u >"$WORK/$file.names"
    without_comments "$folder/$file" >"$WORK/$file.code"
    grep -nE '^extern |^[^#]*[^_a-z]extern ' "$WORK/$file.code" | sed "s/^/$file declares for itself: /" || true
  done
  i=0
  for file in $files; do
    i=$((i + 1))
    for owner in $(tail -n "+$((i + 1))" <<<"$files"); do
      grep -nwoFf "$WORK/$owner.names" "$WORK/$file.code" | sed "s/^/$file uses what $owner declares: /" || true
    done
    # A function that others can see and that no section names would escape this look.
    grep -oE '^[a-z][a-z0-9_ *]*\b\*?(ksplice_[a-z0-9_]+)\(' "$WORK/$file.code" | grep -v '^static' |
      grep -oE 'ksplice_[a-z0-9_]+\($' | tr -d '(' | while read -r name; do
      grep -qwF "$name" "$WORK/$file.names" || grep -qE "^EXPORT_SYMBOL_GPL\($name\)" "$folder/$file" ||
        echo "$file: $name is neither static, nor exported, nor in its part of core.h"
    done || true
  done
}

wc -l "$SOURCE_TREE"/kmod-core/* | awk '$1 > 500 && $2 != "total"' >"$WORK/wrong"
layers "$SOURCE_TREE/kmod-core" >>"$WORK/wrong"
[ ! -s "$WORK/wrong" ] || fail "the core's files are out of order: $(cat "$WORK/wrong")"
for planted in 'state.c:static int planted(struct ksplice_update *u) { return ksplice_apply(u); }' \
  'verify.c:static void *planted(void) { return &ksplice_update_type; }' \
  'object.c:extern int ksplice_reverse(void *update);' 'pin.c:int ksplice_planted(void) { return 0; }'; do
  rm -rf "$WORK/core"
  cp -r "$SOURCE_TREE/kmod-core" "$WORK/core"
  echo "${planted#*:}" >>"$WORK/core/${planted%%:*}"
  layers "$WORK/core" >"$WORK/wrong"
  [ -s "$WORK/wrong" ] || fail "not noticed: $planted"
done
