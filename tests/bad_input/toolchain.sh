#!/usr/bin/env bash
# Tools that are not the kernel's are refused by name, before anything is compiled; CC and LLVM of the
# flags file reach kbuild, where ccache and distcc stand before the compiler.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
get_kernel
make_patch fs/proc/cmdline.c "s/seq_putc(m, '.n');/seq_puts(m, \" patched\\\\n\");/"
mkdir "$WORK/config"
for name in vmlinuz build modules; do ln -s "$(realpath "$CONFIG/$name")" "$WORK/config/$name"; done
CONFIG_DIR=$WORK/config

# refused_with SED CODE WORDS: by a configuration edited so; nothing is compiled.
refused_with() {
  sed "$1" "$CONFIG/.config" >"$WORK/config/.config"
  refused_create 1 "$2" --patch="$WORK/patch" "$SOURCE"
  expect "$3" "$WORK/err"
  expect_no 'prepare kbuild|compile [0-9]' "$WORK/err"
}
refused_with 's/^CONFIG_AS_VERSION=.*/CONFIG_AS_VERSION=23500/' wrong_toolchain 'the assembler that built the kernel is as 2\.35; here is GNU'
expect 'hint: .*binutils' "$WORK/err"
refused_with 's/^CONFIG_LD_VERSION=.*/CONFIG_LD_VERSION=23502/' wrong_toolchain 'the linker that built the kernel is ld 2\.35'
refused_with 's/(Debian 1[24]\.[^)]*) 1[0-9.]*/(Debian 10.2.1-6) 10.2.1/' wrong_toolchain "the compiler that built the kernel is .*$kernel_gcc \\(Debian 10"
refused_with 's/^CONFIG_CC_VERSION_TEXT=.*/CONFIG_CC_VERSION_TEXT="Debian clang version 14.0.6"/' bad_config 'LLVM=1'
refused_with 's/^CONFIG_HZ=.*/CONFIG_HZ=1000/' wrong_toolchain 'the configuration that built the kernel is HZ=250, in .*; here is HZ=1000, in .*'
echo 'CC=no-such-gcc-77' >"$WORK/config/flags"
refused_with '' no_compiler 'no-such-gcc-77'
echo 'LLVM=-77' >"$WORK/config/flags"
refused_with '' no_compiler 'clang, lld and llvm'

printf '#!/bin/sh\necho "$*" >>%s\nexec "$@"\n' "$WORK/log" >"$WORK/mycache"
chmod +x "$WORK/mycache"
echo "CC=\"$WORK/mycache $kernel_gcc\"" >"$WORK/config/flags"
cp "$CONFIG/.config" "$WORK/config/.config"
"$create" --patch="$WORK/patch" --config="$WORK/config" --id=cached --output="$WORK" --cache="$WORK/cache" -q "$SOURCE"
[ "$(grep -c ' -c .*fs/proc/cmdline\.o ' "$WORK/log")" -eq 2 ] || fail "the compiler did not run through CC's first word"
