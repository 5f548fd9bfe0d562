#!/usr/bin/env bash
# A patch for another source is refused, with the words of patch(1) and the file's name.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
get_kernel
make_patch net/ipv4/tcp_ipv4.c 's/^int tcp_v4_rcv(struct sk_buff \*skb)$/int tcp_v4_rcv(struct sk_buff *s)/'
sed -i 's/^ *\tstruct net \*net = dev_net.*/ \tstruct net *net = NULL; \/\* another source *\//' "$WORK/patch"
refused_create 1 patch_failed --patch="$WORK/patch" "$SOURCE"
expect 'net/ipv4/tcp_ipv4\.c' "$WORK/err"
