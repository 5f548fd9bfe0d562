#!/usr/bin/env bash
# A header that a program makes of a file that the patch changes: who else reads it is not known.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
get_kernel
make_patch security/selinux/include/initial_sid_to_string.h 's/"any_socket"/"other_socket"/'
refused_create 3 unsupported_file --patch="$WORK/patch" "$SOURCE"
expect 'the patch changes security/selinux/flask.h, which a program makes' "$WORK/err"
