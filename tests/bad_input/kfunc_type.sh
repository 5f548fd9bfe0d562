#!/usr/bin/env bash
# A function that BPF programs call (a kfunc) gets its parameters in another order: they are checked against the old one.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
get_kernel
make_patch net/netfilter/nf_conntrack_bpf.c \
  's/bpf_ct_change_timeout(struct nf_conn \*nfct, u32 timeout)/bpf_ct_change_timeout(u32 timeout, struct nf_conn *nfct)/'
refused_create 3 export_changed --patch="$WORK/patch" "$SOURCE"
expect 'the type of bpf_ct_change_timeout, which BPF programs know by its BTF id, changed' "$WORK/err"
