#!/usr/bin/env bash
# A System.map of another kernel is named as such; nothing is made from it.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
get_kernel
mkdir "$WORK/config"
cp -r "$CONFIG/.config" "$WORK/config/"
for name in vmlinuz build modules; do ln -s "$(realpath "$CONFIG/$name")" "$WORK/config/$name"; done
cat >"$WORK/config/System.map" <<MAP
ffffffff81000000 T startup_64
ffffffff81000000 T _text
ffffffff81001230 T tcp_v4_rcv
ffffffff81004560 T tcp_v4_connect
ffffffff81007890 T schedule
ffffffff82000000 D linux_banner
MAP
CONFIG_DIR=$WORK/config refused_create 1 bad_system_map \
  --patch="$SOURCE_TREE/examples/tcp-drop-6688/tcp-drop-6688.patch" "$SOURCE"
expect 'System\.map' "$WORK/err"
