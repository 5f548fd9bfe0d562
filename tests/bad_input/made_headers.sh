#!/usr/bin/env bash
# A header that a program makes of a file that the patch changes: who else reads it is not known. What is made of
# headers is made anew where the tree is the original one again.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
get_kernel
make_patch security/selinux/include/initial_sid_to_string.h 's/"any_socket"/"other_socket"/'
refused_create 3 unsupported_file --patch="$WORK/patch" "$SOURCE"
expect 'the patch changes security/selinux/flask.h, which a program makes' "$WORK/err"

# C that is made of a header, in a unit in which lines move: the original that is compiled once more has its own.
make_patch include/scsi/scsi_devinfo.h 's/^#define BLIST_UNMAP_LIMIT_WS/#define\tBLIST_UNMAP_LIMIT_WS/'
cp "$WORK/patch" "$WORK/header"
make_patch drivers/scsi/scsi_sysfs.c '/^sdev_show_device_busy/,/^}/s/^\treturn snprintf(buf, 20/\n\treturn snprintf(buf, 24/'
cat "$WORK/header" >>"$WORK/patch"
"$create" --config="$CONFIG" --patch="$WORK/patch" --id=made --output="$WORK" "$SOURCE" >"$WORK/err" 2>&1 ||
  fail "$(cat "$WORK/err")"
expect '^replaces .*: sdev_show_blacklist, sdev_show_device_busy$' "$WORK/err"
