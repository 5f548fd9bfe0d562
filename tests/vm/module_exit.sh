#!/usr/bin/env bash
# The exit code of a loaded module is still to run: what the patch changes in it is replaced, also where the module
# comes again. Start code that changes with it has run, and then both are refused, or left out together.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
get_kernel --series "${SERIES:-$own_series}"
exit_code='/^static void __exit dummy_cleanup_module/,/^}/s/^\trtnl_link_unregister/\tpr_info("new exit code\\n");\n&/'
make_patch drivers/net/dummy.c "$exit_code
/^static int __init dummy_init_module/,/^}/s/^\treturn err;/\tpr_info(\"new start code\\\\n\");\n&/
s/dev->max_mtu = 0;/dev->max_mtu = 0; dev->mtu = 1234;/"
refused_create 3 init_changed --patch="$WORK/patch" "$SOURCE"
expect 'cleanup_module is in \.exit\.text' "$WORK/err"
"$create" -q --patch="$WORK/patch" --config="$CONFIG" --id=both --leave-out-init --output="$WORK" "$SOURCE"
"$view" --file="$WORK/ksplice-both.tar.gz" >"$WORK/view"
expect 'left out, as it has run already: cleanup_module in \.exit\.text' "$WORK/view"
expect_no 'changed cleanup_module' "$WORK/view"

make_patch drivers/net/dummy.c "$exit_code"
"$create" -q --patch="$WORK/patch" --config="$CONFIG" --id=exit --output="$WORK" "$SOURCE"
"$view" --file="$WORK/ksplice-exit.tar.gz" >"$WORK/view"
expect 'changed cleanup_module' "$WORK/view"

boot_vm --module dummy --file "$WORK/ksplice-exit.tar.gz" <<'EOS'
fail() { echo "FAILED: $*"; dmesg | tail -n 30; exit 1; }
# unload_says YES_OR_NO: whether the new exit code runs when dummy is unloaded; its devices go with either.
unload_says() {
  dmesg -c >/dev/null
  [ -e /sys/class/net/dummy0 ] || fail "there is no dummy0"
  rmmod dummy || fail "dummy stays"
  [ ! -e /sys/class/net/dummy0 ] || fail "dummy0 stays"
  says=no
  ! dmesg | grep -q "new exit code" || says=yes
  [ $says = "$1" ] || fail "new exit code: $says, not $1"
}
modprobe dummy numdummies=1
ksplice-apply ksplice-exit.tar.gz || fail "it is not applied"
unload_says yes
modprobe dummy numdummies=1
unload_says yes
modprobe dummy numdummies=1
ksplice-undo exit || fail "it is not undone"
[ -e /sys/class/net/dummy0 ] || fail "unloading the update's own module ran the exit code of dummy"
unload_says no
modprobe dummy numdummies=1
unload_says no
EOS
