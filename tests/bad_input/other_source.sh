#!/usr/bin/env bash
# A source that is not the running kernel's: another version is refused by its Makefile, other code by
# run-pre matching (function, offset, both codes), another type by the kernel's BTF.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
get_kernel
link_tree "$SOURCE" "$WORK/source"

# edit FILE SED_SCRIPT: the same file with another text, in the tree of links.
edit() {
  rm "$WORK/source/$1"
  sed "$2" "$SOURCE/$1" >"$WORK/source/$1"
  cmp -s "$SOURCE/$1" "$WORK/source/$1" && fail "the edit '$2' does not change $1"
  true
}

# Both edits at once: kbuild is prepared once.
edit fs/proc/internal.h '/^struct proc_dir_entry {/s/$/\n\tunsigned long planted;/'
edit net/ipv4/tcp_ipv4.c '/^int tcp_v4_rcv/,/^}/s/skb->pkt_type != PACKET_HOST/skb->pkt_type != PACKET_OTHERHOST/'
refused_create 3 no_match --patch="$SOURCE_TREE/examples/tcp-drop-6688/tcp-drop-6688.patch" "$WORK/source"
expect 'tcp_v4_rcv' "$WORK/err"
expect '[+ ]0x[0-9a-f]+' "$WORK/err"
expect '(cmp|test|and|mov)' "$WORK/err"
expect_no 'wrong_type' "$WORK/err" # this unit has nothing to do with the header's change

# A type that the function does not use yet: its code matches, and the new code would read the wrong member.
make_patch fs/proc/uptime.c '/^static int uptime_proc_show/,/^}/s/return 0;/return PDE(file_inode(m->file))->proc_dops ? 0 : 1;/'
refused_create 3 wrong_type --patch="$WORK/patch" "$WORK/source"
expect 'struct proc_dir_entry of the source is not the running kernel.s: .*member planted was added' "$WORK/err"
expect 'fs/proc/internal.h:[0-9]+' "$WORK/err"
expect_no 'no_match' "$WORK/err"

edit Makefile 's/^SUBLEVEL = .*/SUBLEVEL = 999/'
refused_create 1 wrong_source --patch="$WORK/patch" "$WORK/source"
expect "is not the source of Linux ${VERSION%-*}, " "$WORK/err"
expect_no 'prepare kbuild' "$WORK/err"
