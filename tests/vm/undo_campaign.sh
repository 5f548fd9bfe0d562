#!/usr/bin/env bash
# Some eighty patches that give away an address in as many ways (undo/*.c): each is applied, exercised, undone
# while what it gave away is still there, and exercised again. The kernel's log stays clean, and where new code
# still runs after the undo (its memory must be there), ksplice-undo has said that it is kept. Prints a table.
#
# On 6.1; SERIES=6.12 for that. CASES="timer words" tries only these. KSPLICE_DEBUG=1 takes the kernel that
# watches itself (debug-kernel). KEEP=DIR keeps the updates there for another run.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/vm/core/lib.sh
. "$SOURCE_TREE/tests/vm/core/lib.sh"
here=$SOURCE_TREE/tests/vm/undo
get_core_kernel "${SERIES:-$own_series}"
keep=${KEEP:-$WORK}
mkdir -p "$keep"
headers=$(readlink -f "$CONFIG/build")
common=$(echo "$(dirname "$headers")"/linux-headers-*-common)
[ -d "$common" ] || common=$SOURCE

# text FILE NAME: the source with the patch NAME, or as it is without any.
text() {
  awk -v wanted="PATCH_$2" '
    /^#ifdef PATCH_/ { inside = 1; on = $2 == wanted; next }
    inside && /^#else/ { on = !on; next }
    inside && /^#endif/ { inside = 0; next }
    !inside || on' "$here/$1.c"
}

# make_update MODULE NAME: one patch and its update.
make_update() {
  local folder=$keep/$2.source id=${2//_/}
  [ ! -e "$keep/ksplice-$id.tar.gz" ] || return 0
  mkdir -p "$folder/a" "$folder/b"
  text "$1" none >"$folder/a/$1.c"
  text "$1" "$2" >"$folder/b/$1.c"
  (cd "$folder" && diff -u "a/$1.c" "b/$1.c") >"$folder/patch" || true
  "$create" --module-source="$keep/$1" --patch="$folder/patch" --config="$CONFIG" --id="$id" --output="$keep" -q \
    "$SOURCE" >"$folder/out" 2>&1 </dev/null || echo "$2: not created: $(head -c 600 "$folder/out" | tr '\n' ' ')"
}

modules="later files net live"
for module in $modules; do
  mkdir -p "$keep/$module"
  cp "$here/giver.h" "$keep/$module"
  text "$module" none >"$keep/$module/$module.c"
  # On a kernel with KASAN its constructors, which know each datum of a unit, would change with every new one.
  printf '%s\n' "obj-m := $module.o" "CFLAGS_KASAN += --param=asan-globals=0" >"$keep/$module/Kbuild"
  kernel_make -s -C "$common" O="$headers" M="$keep/$module" CONFIG_DEBUG_INFO_BTF_MODULES= modules >"$WORK/make" 2>&1 ||
    fail "$module does not build: $(cat "$WORK/make")"
done

files=()
for module in $modules; do
  files+=(--file "$keep/$module/$module.ko")
  sed -n 's/^#ifdef PATCH_//p' "$here/$module.c" | sort -u | while read -r name; do
    if [ -z "${CASES:-}" ] || grep -qw "$name" <<<"$CASES"; then echo "$module $name ${name//_/}"; fi
  done
done >"$WORK/wanted"
while read -r module name id; do
  make_update "$module" "$name" &
  while [ "$(jobs -r | wc -l)" -ge 2 ]; do wait -n; done
done <"$WORK/wanted"
wait
while read -r module name id; do
  [ -e "$keep/ksplice-$id.tar.gz" ] || continue
  files+=(--file "$keep/ksplice-$id.tar.gz")
  echo "$module $name $id" >>"$WORK/CASES"
done <"$WORK/wanted"
{ echo "MODULES=\"$modules\"" && cat "$here/campaign.guest"; } |
  boot_vm --single --timeout 3000 --memory 2048 --console "$WORK/console" --file "$WORK/CASES" "${files[@]}" \
    >"$WORK/transcript" || { tail -n 30 "$WORK/transcript" >&2; fail "the guest's log is not clean, or it ended early"; }
expect '^== done$' "$WORK/transcript"

echo "| case | undo | new code ran before | and after |"
echo "|---|---|---|---|"
sed -nE 's/^([a-z_]+) ([a-z_-]+) (-?[0-9]+) (-?[0-9]+)$/| \1 | \2 | \3 | \4 |/p' "$WORK/transcript"
awk 'NF == 4 && $3 ~ /^-?[0-9]+$/ { all++ } $2 == "kept" { kept++ } $2 == "undone" { undone++ }
  $2 == "undone" && int($4 / 1000) > int($3 / 1000) { print "FAILED: new code of " $1 " runs after it was freed"; bad = 1 }
  NF == 4 && $2 ~ /not-applied/ { print "FAILED: " $1 " was not applied"; bad = 1 }
  NF != 4 && bad { print }
  END { print all " cases, " kept " kept, " undone " freed"; exit bad }' "$WORK/transcript" || fail "see above"
