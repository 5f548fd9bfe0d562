#!/usr/bin/env bash
# Fixes that Debian shipped and that change live data or start code, written with hooks
# (examples/), on the kernel that lacks them: applied, seen in the kernel's memory, and undone.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
old=6.1.176-1
"$SOURCE_TREE/tests/kernel" offers --series 6.1 | grep -q "\"$old\"" || skip "$old is no longer on offer"
get_kernel --version "$old"
gcc -O2 -static -o "$WORK/words" "$SOURCE_TREE/tests/vm/words.c"
mkdir "$WORK/tarballs"
cat >"$WORK/head" <<'EOS'
must() { "$@" || { echo "FAILED: $*"; exit 1; }; }
is() { [ "$1" = "$2" ] || { echo "FAILED: expected '$1', found '$2'"; exit 1; }; }
not() { ! "$@"; }
# points_to OBJECT FUNCTION: the object's first 32 words hold the address of the function.
points_to() {
  object=$(awk -v name="$1" '$3 == name {print $1}' /proc/kallsyms)
  for address in $(awk -v name="$2" '$3 == name {print $1}' /proc/kallsyms); do
    words "$object" 32 | grep -q "$address" && return 0
  done
  return 1
}
EOS
options=()
for each in fq-codel-peek:fqpeek magicmouse-resume:mouse quota-workqueue:quota; do
  example=$SOURCE_TREE/examples/${each%:*} id=${each#*:}
  "$create" --patch="$example/${each%:*}.patch" --config="$CONFIG" --id="$id" --description="${each%:*}" \
    --output="$WORK/tarballs" -q "$SOURCE"
  options+=(--file "$WORK/tarballs/ksplice-$id.tar.gz")
  { echo "echo '== $id'" && cat "$example/guest.sh"; } >>"$WORK/head"
done
echo "echo '== done'" >>"$WORK/head"
boot_vm "${options[@]}" --program "$WORK/words" --module hid_magicmouse --module ifb \
  --console "$WORK/console" <"$WORK/head" | tee "$WORK/transcript"
[ "$(tail -n 1 "$WORK/transcript")" = "== done" ] || fail "the transcript is not whole"
