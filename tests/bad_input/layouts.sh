#!/usr/bin/env bash
# A structure that live objects have gets a member: where it fills a gap, its author can say that all hold zeros there; else
# the code that the hint brings does the same beside the objects.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
get_kernel
use='s/^\tpoll_wait(file, &ctx->wqh, wait);/\tctx->polled++;\n&/'
make_patch fs/eventfd.c "/^struct eventfd_ctx {/,/^};/s/struct kref kref;/&\n\tint polled;/; $use"
refused_create 3 type_changed --patch="$WORK/patch" "$SOURCE"
expect 'member polled is at offset 4, where there was a gap' "$WORK/err"
expect "copied from a stack\), and zero is right for it, use --zeroed='struct eventfd_ctx'" "$WORK/err"
"$create" --config="$CONFIG" --patch="$WORK/patch" --zeroed='struct eventfd_ctx' --output="$WORK" "$SOURCE" \
  >"$WORK/out" 2>&1 || fail "$(cat "$WORK/out")"
expect 'zero where it was unused, as --zeroed says: struct eventfd_ctx' "$WORK/out"

# Where there is no gap, it cannot be said.
make_patch fs/eventfd.c "/^struct eventfd_ctx {/,/^};/s/__u64 count;/&\n\t__u64 polled;/; $use"
refused_create 3 type_changed --zeroed='struct eventfd_ctx' --patch="$WORK/patch" "$SOURCE"
expect 'eventfd_free_ctx\(\) \(fs/eventfd.c:' "$WORK/err"
sed -n '/^    #include <linux\/slab.h>/,/^  then use /s/^    //p' "$WORK/err" >"$WORK/code"
make_patch fs/eventfd.c "/^struct eventfd_ctx {/,/^};/{/^};/r $WORK/code
}
s/^\tpoll_wait(file, &ctx->wqh, wait);/\tif (eventfd_ctx_new(ctx))\n\t\teventfd_ctx_new(ctx)->polled++;\n&/
s/^\tkfree(ctx);/\tksplice_shadow_free(ctx, EVENTFD_CTX_NEW, NULL);\n&/"
"$create" --config="$CONFIG" --patch="$WORK/patch" --output="$WORK" "$SOURCE" >"$WORK/out" 2>&1 || fail "$(cat "$WORK/out")"
