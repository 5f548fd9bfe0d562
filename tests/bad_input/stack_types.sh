#!/usr/bin/env bash
# A structure that only local variables are seen to be of gets another layout: its author can say that this is all.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
get_kernel
make_patch fs/readdir.c '/^struct getdents_callback {/,/^};/s/int error;/int spare;\n\t&/; /^static bool filldir(/,/^}/s/^\tbuf->error = -EINVAL;/\tbuf->spare = namlen;\n&/'
refused_create 3 type_changed --patch="$WORK/patch" "$SOURCE"
expect "struct getdents_callback changed: .*member error moved" "$WORK/err"
expect "no memory that outlives a call is laid out as the old one, use --not-live='struct getdents_callback'" "$WORK/err"
refused_create 3 type_changed --not-live='struct getdents_callback64' --patch="$WORK/patch" "$SOURCE"

"$create" --config="$CONFIG" --patch="$WORK/patch" --not-live='struct getdents_callback' --output="$WORK" "$SOURCE" \
	>"$WORK/out" 2>&1 || fail "$(cat "$WORK/out")"
expect 'not in live memory, as --not-live says: struct getdents_callback' "$WORK/out"

# What live memory is seen to have cannot be lifted.
make_patch fs/eventfd.c '/^struct eventfd_ctx {/,/^};/s/__u64 count;/&\n\t__u64 spare;/; s/^\tctx->count = count;/&\n\tctx->spare = 0;/'
refused_create 3 type_changed --not-live='struct eventfd_ctx' --patch="$WORK/patch" "$SOURCE"
