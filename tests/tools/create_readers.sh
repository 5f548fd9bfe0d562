#!/usr/bin/env bash
# A patch to a header that many units read: the patch's own files are judged first, and what was compiled is
# not compiled again after an interruption.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
get_kernel
header=fs/ext4/ext4_jbd2.h
make_patch $header '/ext4_journal_blocks_per_page/,/^}/s/return jbd2_journal/return 1 + jbd2_journal/'
cp "$WORK/patch" "$WORK/header"
make_patch fs/ext4/sysfs.c '/^static unsigned int old_bump_val/s/128/129/'
cat "$WORK/header" >>"$WORK/patch"
refused_create 3 data_changed --patch="$WORK/patch" --cache="$WORK/cache" "$SOURCE"
expect "the patch's own files first, then [0-9]+ units that only read its headers" "$WORK/err"
expect 'compile 1 unit with the patch' "$WORK/err"
expect "the units that only read the patch's headers were not compiled any more" "$WORK/err"
[ "$(grep -cE 'compile [0-9]+ units? with the patch' "$WORK/err")" -eq 1 ] || fail "more than the patch's own files was compiled"

command=("$create" --config="$CONFIG" --id=readers --patch="$WORK/header" --cache="$WORK/cache"
  --output="$WORK" "$SOURCE")
setsid "${command[@]}" >"$WORK/out" 2>&1 &
for ((i = 0; i < 3000; i++)); do
  ! grep -q 'units with the patch' "$WORK/out" || break
  sleep 0.1
done
kill -INT $!
! wait $! || fail "it was done before it was interrupted"
expect '^ksplice-create: .*interrupted' "$WORK/out"
"${command[@]}" >"$WORK/out" 2>&1 || fail "$(cat "$WORK/out")"
expect 'compile ([0-9]+) units as the source is: \1 from the cache' "$WORK/out"
"${command[@]}" >"$WORK/out" 2>&1 || fail "$(cat "$WORK/out")"
expect 'compile ([0-9]+) units with the patch: \1 from the cache' "$WORK/out"
