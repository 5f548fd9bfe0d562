#!/usr/bin/env bash
# A Kconfig file that would configure the running kernel otherwise: the code that asks for the new option would be
# left out. One that changes no option of this kernel does not matter.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
get_kernel
make_patch fs/proc/cmdline.c "s/^.seq_putc(m, .*/#ifdef CONFIG_PROC_TEST\n\tif (!m)\n\t\treturn -EPERM;\n#endif\n&\n&/"
cp "$WORK/patch" "$WORK/code"
# shellcheck disable=SC2016  # $a is sed's
make_patch fs/proc/Kconfig '$a config PROC_TEST\n\tbool\n\tdefault y'
cat "$WORK/code" >>"$WORK/patch"
refused_create 3 unsupported_file --patch="$WORK/patch" "$SOURCE"
expect 'with fs/proc/Kconfig, the kernel would be configured otherwise \(CONFIG_PROC_TEST=y\)' "$WORK/err"

# shellcheck disable=SC2016  # $a is sed's
make_patch fs/proc/Kconfig '$a config PROC_TEST\n\tbool\n\tdefault y if !PROC_FS'
cat "$WORK/code" >>"$WORK/patch"
"$create" --config="$CONFIG" --patch="$WORK/patch" --output="$WORK" "$SOURCE" >"$WORK/out" 2>&1 || fail "$(cat "$WORK/out")"
expect 'fs/proc/Kconfig is ignored: the configuration stays as it is' "$WORK/out"
