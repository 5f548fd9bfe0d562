#!/usr/bin/env bash
# Where things are: a source that cannot be written, in a folder with a space and an umlaut; the stages' files, kept;
# a disk that is full. And tools that are not the kernel's, taken on.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
own_mounts
get_kernel
make_patch fs/proc/version.c '/^static int version_proc_show/,/^}/s/return 0;/seq_puts(m, "patched\\n"); return 0;/'

mkdir "$WORK/Quelle ä" "$WORK/config" "$WORK/tiny"
mount --bind "$SOURCE" "$WORK/Quelle ä"
mount -o remount,bind,ro "$WORK/Quelle ä"
! touch "$WORK/Quelle ä/new" 2>/dev/null || fail "the source can be written"
for name in vmlinuz build modules; do ln -s "$(realpath "$CONFIG/$name")" "$WORK/config/$name"; done
sed 's/^CONFIG_AS_VERSION=.*/CONFIG_AS_VERSION=23500/' "$CONFIG/.config" >"$WORK/config/.config"
"$create" --config="$WORK/config" --patch="$WORK/patch" --id=places --skip-toolchain-check --keep-work \
  --cache="$WORK/cache" --output="$WORK" "$WORK/Quelle ä" &>"$WORK/text"
expect 'note: the assembler that built the kernel is as 2\.35; here is GNU' "$WORK/text"
expect '^Ksplice update tarball written to' "$WORK/text"
expect 'note: the stages. files are in .*/ksplice-places-work' "$WORK/text"
for file in 1-patch/fs/proc/version.c 2-pre/fs_proc_version.o 3-post/fs_proc_version.o 5-modules/ksplice_places_vmlinux.ko; do
  [ -s "$WORK/ksplice-places-work/$file" ] || fail "--keep-work has no $file: $(find "$WORK/ksplice-places-work")"
done

# full SIZE OPTION...: with a disk of that size, which is named.
full() {
  mount -t tmpfs -o "size=$1" tiny "$WORK/tiny"
  shift
  refused 1 no_space "$create" --config="$CONFIG" --patch="$WORK/patch" --id=full --raw-errors "$@" "$SOURCE"
  expect "$WORK/tiny" "$WORK/err"
  [ -z "$(find "$WORK/tiny" -name 'ksplice-full*')" ] || fail "something is left: $(find "$WORK/tiny" -name 'ksplice-full*')"
  umount "$WORK/tiny"
}
full 20k --output="$WORK/tiny"
full 1M --cache="$WORK/tiny/cache" --output="$WORK"
full 60M --cache="$WORK/tiny/cache" --output="$WORK"
