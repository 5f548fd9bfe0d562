#!/usr/bin/env bash
# A patch that does not compile is refused, and the compiler's own words are shown.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
get_kernel
make_patch net/ipv4/tcp_ipv4.c '/^int tcp_v4_rcv/,/^}/s/goto discard_it;/goto no_such_label;/'
refused_create 1 compile_failed --patch="$WORK/patch" "$SOURCE"
expect "tcp_ipv4\.c:[0-9]+.* error: label .no_such_label. used but not defined" "$WORK/err"
