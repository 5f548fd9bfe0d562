#!/usr/bin/env bash
# The compiler belongs to the kernel: where it is missing, the command that makes a root directory with it
# is named; a root directory that cannot serve is refused, and one that cannot be made leaves nothing.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
own_mounts
get_kernel
make_patch fs/proc/cmdline.c "s/seq_putc(m, '.n');/seq_puts(m, \" patched\\\\n\");/"
if [ "$(host_debian)" = 12 ]; then
  release=13 compiler='x86_64-linux-gnu-gcc-14 (Debian 14.2.0-19) 14.2.0'
else
  release=12 compiler='gcc-12 (Debian 12.2.0-14+deb12u1) 12.2.0'
fi
mkdir "$WORK/config" "$WORK/empty" "$WORK/machine" "$WORK/alien" "$WORK/bare"
for name in vmlinuz build modules; do ln -s "$(realpath "$CONFIG/$name")" "$WORK/config/$name"; done
sed "s/^CONFIG_CC_VERSION_TEXT=.*/CONFIG_CC_VERSION_TEXT=\"$compiler\"/" "$CONFIG/.config" >"$WORK/config/.config"
CONFIG_DIR=$WORK/config

# with STATUS CODE WORDS OPTION...
with() {
  local status=$1 code=$2 words=$3
  shift 3
  refused_create "$status" "$code" --patch="$WORK/patch" "$@" "$SOURCE"
  expect "$words" "$WORK/err"
  expect_no 'prepare kbuild|compile [0-9]' "$WORK/err"
}
command_to_run="hint: ksplice-create --make-root --config=$WORK/config makes a root directory with the tools of Debian $release"
with 1 wrong_toolchain "$command_to_run"
with 1 bad_root 'missing is not a folder' --root="$WORK/missing"
with 1 bad_root 'it has no usr/bin/env' --root="$WORK/empty"
expect 'hint: .*--make-root' "$WORK/err"
mount -o bind,ro / "$WORK/machine"  # a tree of a release whose compiler is another one
with 1 wrong_toolchain "$command_to_run" --root="$WORK/machine"

# A tree in which programs run, and no compiler is.
mapfile -t files < <(ldd /usr/bin/env /bin/sh | grep -o '/[^ :]* (' | sed 's/ (//' | sort -u)
for file in /usr/bin/env /usr/bin/true /bin/sh "${files[@]}"; do install -D "$(realpath "$file")" "$WORK/bare$file"; done
with 1 no_compiler "$command_to_run" --root="$WORK/bare"
install -D /usr/bin/env "$WORK/alien/usr/bin/env"
printf '\267' | dd of="$WORK/alien/usr/bin/env" bs=1 seek=18 conv=notrunc status=none  # EM_AARCH64
with 1 bad_root 'for another processor: .* is no program for x86-64' --root="$WORK/alien"
ln -s "$WORK/missing" "$WORK/config/root"
with 1 bad_root 'config/root is not a folder'

mkdir "$WORK/bin"
printf '#!/bin/sh\necho "bwrap: no permission for namespaces"\nexit 1\n' >"$WORK/bin/bwrap"
chmod +x "$WORK/bin/bwrap"
PATH="$WORK/bin:$PATH" with 1 bad_root 'nothing can be run in .*no permission for namespaces' --root="$WORK/machine"
expect 'hint: install the package bubblewrap' "$WORK/err"

refused 2 usage "$create" --make-root=11
refused 2 usage "$create" --make-root --patch="$WORK/patch" "$SOURCE"
mkdir -p "$WORK/hollow/roots/$release"
refused 1 bad_root "$create" --make-root="$release" --cache="$WORK/hollow"
printf '#!/bin/sh\necho "no such server"\nexit 25\n' >"$WORK/bin/mmdebstrap"
chmod +x "$WORK/bin/mmdebstrap"
PATH="$WORK/bin:$PATH" refused 1 root_failed "$create" --make-root="$release" --cache="$WORK/cache"
expect 'no such server' "$WORK/err"
[ -z "$(ls -A "$WORK/cache/roots")" ] || fail "something is left of a root directory that could not be made"
