#!/usr/bin/env bash
# Wrong arguments and unreachable files are refused before anything is built.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
get_kernel
patch=$SOURCE_TREE/examples/tcp-drop-6688/tcp-drop-6688.patch
refused_create 2 usage "$SOURCE"
refused_create 2 usage --patch="$patch"
refused_create 2 usage --patch="$patch" --git=HEAD "$SOURCE"
refused_create 1 bad_source --patch="$patch" "$WORK"
refused_create 1 bad_cache --cache="$WORK/a cache" --patch="$patch" "$SOURCE"
CONFIG_DIR=$WORK refused_create 1 bad_config --patch="$patch" "$SOURCE"
expect 'init-config' "$WORK/err"

make_patch arch/x86/entry/entry_64.S '1i /* x */'
cp "$WORK/patch" "$WORK/all"
make_patch arch/x86/realmode/rm/wakemain.c '1i int x;'
cat "$WORK/patch" >>"$WORK/all"
refused_create 3 unsupported_file --patch="$WORK/all" "$SOURCE"
expect 'arch/x86/entry/entry_64\.S is assembly' "$WORK/err"
expect 'arch/x86/realmode/rm/wakemain\.c' "$WORK/err"

printf -- '--- a/../../etc/x\n+++ b/../../etc/x\n@@ -0,0 +1 @@\n+1\n' >"$WORK/patch"
refused_create 1 bad_patch --patch="$WORK/patch" "$SOURCE"

mkdir "$WORK/config"
for name in vmlinuz build modules; do ln -s "$(realpath "$CONFIG/$name")" "$WORK/config/$name"; done
sed 's/^CONFIG_CC_VERSION_TEXT=.*/CONFIG_CC_VERSION_TEXT="gcc-9 (Debian 9.3.0-22) 9.3.0"/' \
  "$CONFIG/.config" >"$WORK/config/.config"
CONFIG_DIR=$WORK/config refused_create 1 wrong_toolchain --patch="$patch" "$SOURCE"
expect 'gcc-9' "$WORK/err"
