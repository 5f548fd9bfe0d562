#!/usr/bin/env bash
# A kernel of a series that was not tested is refused by name, before anything is compiled.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
get_kernel
make_patch fs/proc/cmdline.c "s/seq_putc(m, '.n');/seq_puts(m, \" patched\\\\n\");/"
mkdir -p "$WORK/config/build/include/generated"
ln -s "$(realpath "$CONFIG/vmlinuz")" "$WORK/config/vmlinuz"
ln -s "$(realpath "$CONFIG/build")/Module.symvers" "$WORK/config/build/Module.symvers"
echo '#define UTS_RELEASE "5.10.0-30-amd64"' >"$WORK/config/build/include/generated/utsrelease.h"
cp "$CONFIG/.config" "$WORK/config/.config"
CONFIG_DIR=$WORK/config refused_create 3 unknown_series --patch="$WORK/patch" "$SOURCE"
expect 'kernel 5\.10\.0-30-amd64 is of a series' "$WORK/err"
expect 'a kernel of series 6\.1 or 6\.12' "$WORK/err"
expect_no 'prepare kbuild|compile [0-9]' "$WORK/err"
