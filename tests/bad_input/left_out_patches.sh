#!/usr/bin/env bash
# Of a series of which one patch is refused, the rest can be made: by name, or by itself. What needs the
# refused one is found, and what is missing is in the tarball. Each refusal names its hunk.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
get_kernel
file=fs/eventfd.c
mkdir -p "$WORK/a/fs" "$WORK/b/fs" "$WORK/other"
cp "$SOURCE/$file" "$WORK/a/fs/"

# part NAME SED_SCRIPT: the next patch of the series.
part() {
  sed -e "$2" "$WORK/a/$file" >"$WORK/b/$file"
  (cd "$WORK" && diff -up "a/$file" "b/$file") >"$WORK/$1" && fail "the edit '$2' changes nothing"
  mv "$WORK/b/$file" "$WORK/a/$file"
}

# Another layout of a live structure; a use of the new member, which goes in by itself; a fix of its own.
part 1-count.patch 's/^\tunsigned int flags;$/&\n\tunsigned int polls;/
  s/^\tpoll_wait(file, &ctx->wqh, wait);/&\n\tctx->polls++;/'
part 2-show.patch '/^static void eventfd_show_fdinfo/,/^}/s/^\tspin_unlock_irq(.*/&\n\tseq_printf(m, "eventfd-polls: %u\\n", ctx->polls);/'
make_patch fs/proc/version.c '/^static int version_proc_show/,/^}/s/return 0;/seq_puts(m, "patched\\n"); return 0;/'
{
  printf 'From: A <a@b>\nSubject: [PATCH 3/3] proc: say patched\n\n---\n'
  cat "$WORK/patch"
} >"$WORK/3-version.patch"
series=(--patch="$WORK/1-count.patch" --patch="$WORK/2-show.patch" --patch="$WORK/3-version.patch")
hunk=$(grep -m 1 '^@@' "$WORK/1-count.patch" | grep -o '@@ .* @@')
(cd "$WORK" && grep -c '^@@' 1-count.patch | grep -qx 2) || fail "the first patch has not two hunks"

# The refusal is of the structure, and names the hunk that changes it and no other.
refused_create 3 type_changed "${series[@]}" "$SOURCE"
grep -qxF "  from 1-count.patch: fs/eventfd.c $hunk" "$WORK/err" || fail "not from $hunk: $(cat "$WORK/err")"
[ "$(grep -c '^  from' "$WORK/err")" -eq 1 ] || fail "other hunks are named: $(cat "$WORK/err")"
expect '; --keep-going tries to make the rest of the series, without 1-count\.patch$' "$WORK/err"
[ "$(grep -c 'refused: ' "$WORK/err")" -eq 1 ] || fail "other refusals: $(cat "$WORK/err")"

# What needs it is not assumed to do without.
refused_create 3 needs_patch "${series[@]}" --leave-out=1-count.patch "$SOURCE"
expect 'needs_patch: 2-show\.patch needs 1-count\.patch, which is left out: it does not compile without polls' "$WORK/err"
expect '^  from 2-show\.patch: fs/eventfd\.c @@ ' "$WORK/err"
refused_create 2 usage "${series[@]}" --leave-out=4-none.patch "$SOURCE"
expect 'the series is 1-count\.patch, 2-show\.patch, 3-version\.patch' "$WORK/err"
refused_create 2 usage "${series[@]}" --keep-going --partial-fleet "$SOURCE"

# made OPTION...: a tarball with version_proc_show only, whose patch is the third one.
made() {
  "$create" --config="$CONFIG" --id=rest --output="$WORK" --json "${series[@]}" "$@" "$SOURCE" \
    >"$WORK/json" 2>"$WORK/err" || fail "$(cat "$WORK/err" "$WORK/json")"
  "$view" --file="$WORK/ksplice-rest.tar.gz" >"$WORK/view"
  "$view" --file="$WORK/ksplice-rest.tar.gz" --json >"$WORK/view-json"
  python3 - "$WORK" <<'END'
import json, sys
work = sys.argv[1]
made, view = (json.load(open(f"{work}/{name}")) for name in ("json", "view-json"))
assert made["replaced"] == ["version_proc_show"], made
assert made["description"] == view["description"] == "proc: say patched", made
assert made["left_out_patches"] == view["left_out_patches"], view
left = [(each["patch"], each["code"]) for each in view["left_out_patches"]]
print(*left, file=open(f"{work}/left", "w"))
assert view["patch"] == open(f"{work}/3-version.patch").read(), view["patch"]
END
}
made --leave-out="$WORK/1-count.patch" --leave-out=2-show.patch
expect "^\('1-count.patch', 'chosen'\) \('2-show.patch', 'chosen'\)$" "$WORK/left"
expect '^left out of the series: 1-count\.patch \(chosen\)$' "$WORK/view"
made --keep-going
expect "^\('1-count.patch', 'type_changed'\) \('2-show.patch', 'needs_patch'\)$" "$WORK/left"
expect '^left out of the series: 1-count\.patch \(type_changed: struct eventfd_ctx changed' "$WORK/view"
expect '^left out of the series: 2-show\.patch \(needs_patch: 2-show\.patch needs 1-count\.patch' "$WORK/view"

# A later patch that stands on a line of the refused one, and one that changes the same function elsewhere.
part 4-line.patch 's/^\tctx->polls++;/&\n\tcount = 0;/'
part 5-half.patch '/^static __poll_t eventfd_poll/,/^}/s/^\treturn events;/\treturn events | EPOLLPRI;/'
all=("${series[@]}" --patch="$WORK/4-line.patch" --patch="$WORK/5-half.patch")
refused_create 3 needs_patch "${all[@]}" --leave-out=1-count.patch --leave-out=2-show.patch "$SOURCE"
expect '4-line\.patch needs 1-count\.patch, which is left out: without it, it does not apply' "$WORK/err"
series=("${all[@]}")
made --keep-going
expect "'4-line.patch', 'needs_patch'\) \('5-half.patch', 'needs_patch'\)$" "$WORK/left"
expect '5-half\.patch needs .*changes eventfd_poll\(\), too; alone it could be half of a fix' "$WORK/view"
# The user may decide otherwise, and the update says so.
"$create" --config="$CONFIG" --id=half --output="$WORK" -q "${series[@]}" --leave-out=1-count.patch \
  --leave-out=2-show.patch --leave-out=4-line.patch "$SOURCE" >/dev/null
"$view" --file="$WORK/ksplice-half.tar.gz" >"$WORK/view"
expect '^note: 5-half\.patch changes eventfd_poll\(\), which 1-count\.patch changes too and is left out' "$WORK/view"
expect 'changed eventfd_poll' "$WORK/view"

# Nothing is left: every reason is said, causes first.
refused_create 3 type_changed --patch="$WORK/1-count.patch" --patch="$WORK/2-show.patch" --keep-going "$SOURCE"
expect 'refused: type_changed' "$WORK/err"
expect 'refused: needs_patch: 2-show\.patch' "$WORK/err"

# Start code, and a patch that does not apply, in a series from one file.
make_patch fs/aio.c '/^static int __init aio_setup/,/^}/s/^\treturn 0;/\tpr_info("set up\\n");\n&/'
{
  for part in "$WORK/patch" "$WORK/3-version.patch" "$WORK/2-show.patch"; do
    printf 'From 0123456789012345678901234567890123456789 Mon Sep 17 00:00:00 2001\nSubject: [PATCH] %s\n\n---\n' \
      "$(basename "$part")"
    sed -n '/^--- a/,$p' "$part"
  done
} >"$WORK/series.mbox"
"$create" --config="$CONFIG" --id=mails --output="$WORK" --patch="$WORK/series.mbox" --keep-going "$SOURCE" \
  >"$WORK/out" 2>"$WORK/err" || fail "$(cat "$WORK/err")"
expect '^left out +patch series\.mbox#1: init_changed' "$WORK/err"
expect '^left out +patch series\.mbox#3: compile_failed' "$WORK/err"
expect 'version_proc_show' "$WORK/err"
