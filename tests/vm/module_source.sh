#!/usr/bin/env bash
# An out-of-tree module, built by its author against Debian's headers and loaded, is patched by
# --module-source: a header, a Makefile, a changed and a new file, a static function made global, and
# per-cpu data of the module.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
get_kernel "$@"
build_module "$SOURCE_TREE/tests/data/fruit"

"$create" --module-source="$WORK/fruit" --patch="$WORK/fruit/fix.patch" --config="$CONFIG" --id=fruit \
  --build-modules --output="$WORK" "$SOURCE"
CONFIG_DIR=$CONFIG refused_create 1 bad_source --module-source="$WORK/output" --patch="$WORK/fruit/fix.patch" "$SOURCE"
CONFIG_DIR=$CONFIG refused_create 1 patch_failed --module-source="$WORK/fruit" \
  --patch="$SOURCE_TREE/examples/tcp-drop-6688/tcp-drop-6688.patch" "$SOURCE"

boot_vm --file "$WORK/ksplice-fruit.tar.gz" --file "$WORK/fruit/fruit-basket.ko" <<'EOS' | tee "$WORK/transcript"
check() { "$@" || { echo "failed: $*"; ksplice-view --id=fruit; dmesg | tail -n 20; exit 1; }; }
shows() { [ "$(cat /proc/fruit)" = "$1" ]; }
check insmod fruit-basket.ko
check shows "apple 3"
check shows "pear 6"
check ksplice-apply ksplice-fruit.tar.gz
check shows "plum 15 for 40"
check shows "apple 20 for 50"
check ksplice-undo fruit
check shows "pear 15"
check rmmod fruit_basket

check ksplice-apply --extract-modules=/tmp ksplice-fruit.tar.gz
check insmod /tmp/fruit_basket.ko
check shows "apple 5 for 50"
check ksplice-apply ksplice-fruit.tar.gz
check shows "pear 10 for 40"
check rmmod fruit_basket
echo "== done"
EOS
[ "$(tail -n 1 "$WORK/transcript")" = "== done" ] || fail "the transcript is not whole"
