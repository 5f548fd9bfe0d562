#!/usr/bin/env bash
# A patch that only moves lines changes nothing, whatever the code does with its line numbers; code that
# does not compile with other line numbers than its own is refused.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
get_kernel
mkdir "$WORK/lined"
echo 'obj-m := lined.o' >"$WORK/lined/Kbuild"
cat >"$WORK/lined/lined.c" <<'END'
#include <linux/module.h>
#include <linux/kernel.h>

static int where_set(const char *value, const struct kernel_param *param)
{
	might_sleep();
	WARN_ON(value[0] == '!');
	pr_info("set at " __FILE__ ":%d\n", __LINE__);
	return BUILD_BUG_ON_ZERO(0);
}
module_param_call(where, where_set, NULL, NULL, 0200);
MODULE_LICENSE("GPL");
END
# make_patch of lib.sh, in the module
patch_lined() {
  sed -e "$1" "$WORK/lined/lined.c" >"$WORK/new-file"
  diff -up --label a/lined.c --label b/lined.c "$WORK/lined/lined.c" "$WORK/new-file" >"$WORK/patch" || true
}
patch_lined '4i /* where it was set */\n'
refused_create 1 no_change --module-source="$WORK/lined" --patch="$WORK/patch" "$SOURCE"
expect "line numbers" "$WORK/err"
sed -i '/MODULE_LICENSE/a _Static_assert(__LINE__ == 13, "moved");' "$WORK/lined/lined.c"
patch_lined '4i /* where it was set */\n
  s/__LINE__ == 13/__LINE__ == 15/'
refused_create 1 moved_failed --module-source="$WORK/lined" --patch="$WORK/patch" "$SOURCE"
expect 'lined\.c:15:.*moved' "$WORK/err"
