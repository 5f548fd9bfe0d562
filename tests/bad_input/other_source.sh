#!/usr/bin/env bash
# A source that is not the running kernel's is found by run-pre matching: function, offset, both codes.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
get_kernel
link_tree "$SOURCE" "$WORK/source"
rm "$WORK/source/net/ipv4/tcp_ipv4.c"
sed '/^int tcp_v4_rcv/,/^}/s/skb->pkt_type != PACKET_HOST/skb->pkt_type != PACKET_OTHERHOST/' \
  "$SOURCE/net/ipv4/tcp_ipv4.c" >"$WORK/source/net/ipv4/tcp_ipv4.c"
refused_create 3 no_match --patch="$SOURCE_TREE/examples/tcp-drop-6688/tcp-drop-6688.patch" "$WORK/source"
expect 'tcp_v4_rcv' "$WORK/err"
expect '[+ ]0x[0-9a-f]+' "$WORK/err"
expect '(cmp|test|and|mov)' "$WORK/err"
