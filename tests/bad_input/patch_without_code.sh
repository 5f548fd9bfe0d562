#!/usr/bin/env bash
# A patch that changes only a comment, or no file that the configuration builds, is refused as such.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
get_kernel
make_patch net/ipv4/tcp_ipv4.c '/^int tcp_v4_rcv/i /* only a comment */'
refused_create 1 no_change --patch="$WORK/patch" "$SOURCE"

make_patch arch/arm/mm/fault.c '1i int not_built_here;'
refused_create 1 no_change --patch="$WORK/patch" "$SOURCE"
expect 'arch/arm/mm/fault\.c' "$WORK/err"
