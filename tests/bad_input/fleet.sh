#!/usr/bin/env bash
# Kernels of a fleet that refuse are named, all of them; --partial-fleet makes the update for the rest.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
get_kernel
make_patch fs/proc/cmdline.c "s/seq_putc(m, '.n');/seq_puts(m, \" patched\\\\n\");/"
mkdir "$WORK/other"
for name in vmlinuz build modules; do ln -s "$(realpath "$CONFIG/$name")" "$WORK/other/$name"; done
sed 's/^CONFIG_CC_VERSION_TEXT=.*/CONFIG_CC_VERSION_TEXT="gcc-9 (Debian 9.3.0-22) 9.3.0"/' \
  "$CONFIG/.config" >"$WORK/other/.config"
refused_create 1 wrong_toolchain --config="$WORK/other" --patch="$WORK/patch" "$SOURCE"
expect "kernel ${RELEASE//+/.}: .*gcc-9" "$WORK/err"
expect 'hint: .*--partial-fleet' "$WORK/err"

"$create" --config="$WORK/other" --config="$CONFIG" --partial-fleet --patch="$WORK/patch" --id=rest \
  --output="$WORK" --json "$SOURCE" >"$WORK/json"
python3 - "$WORK/json" "$RELEASE" <<'EOS'
import json, sys
result = json.load(open(sys.argv[1]))
assert result["kernels"] == [sys.argv[2]], result
assert [(each["kernel"], each["code"]) for each in result["left_out"]] == [(sys.argv[2], "wrong_toolchain")], result
EOS
"$view" --file="$WORK/ksplice-rest.tar.gz" >"$WORK/out"
expect "^kernel ${RELEASE//+/.}, build id" "$WORK/out"

CONFIG_DIR=$WORK/other refused_create 1 no_kernel --config="$WORK/other" --partial-fleet --patch="$WORK/patch" "$SOURCE"
refused_create 1 bad_config --config="$CONFIG" --patch="$WORK/patch" "$SOURCE"
expect 'of the same kernel' "$WORK/err"
refused_create 2 usage --patch="$WORK/patch"
expect 'SOURCE is missing' "$WORK/err"
