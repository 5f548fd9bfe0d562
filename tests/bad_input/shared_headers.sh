#!/usr/bin/env bash
# What assembly, the vdso and a header that the build makes have a part in is refused, each by its name.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
get_kernel
add() {
  make_patch "$@"
  cat "$WORK/patch" >>"$WORK/all"
}
add include/xen/interface/elfnote.h '/define XEN_ELFNOTE_PHYS32_ENTRY/s/18/19/'
add lib/vdso/gettimeofday.c '/int do_coarse(/,/^}/s/ts->tv_nsec = vdso_ts->nsec/& + 1/'
add kernel/bounds.c 's/DEFINE(NR_PAGEFLAGS, __NR_PAGEFLAGS)/DEFINE(NR_PAGEFLAGS, __NR_PAGEFLAGS + 1)/'
refused_create 3 unsupported_file --patch="$WORK/all" --leave-out-init "$SOURCE"
expect 'the assembly of arch/x86/platform/pvh/head\.o, which reads include/xen/interface/elfnote\.h' "$WORK/err"
expect 'arch/x86/entry/vdso/vclock_gettime\.o of the vdso.*, which reads lib/vdso/gettimeofday\.c' "$WORK/err"
expect 'include/generated/bounds\.h, which the kernel.s build makes' "$WORK/err"
expect '\+#define NR_PAGEFLAGS 2[0-9]' "$WORK/err"

# What has run before the kernel may stay as it is, if the user says so; nothing of the above may.
make_patch lib/cmdline.c '/^int get_option(/,/^}/s/return 1;/return value == 7 ? 4 : 1;/'
refused_create 3 unsupported_file --patch="$WORK/patch" "$SOURCE"
expect 'arch/x86/boot/compressed/kaslr\.o of the code that unpacks the kernel, which reads lib/cmdline\.c' "$WORK/err"
expect 'drivers/firmware/efi/libstub/lib-cmdline\.(stub\.)?o of the code that the firmware starts' "$WORK/err"
expect 'if the rest of the patch does not need it, use --leave-out-init' "$WORK/err"
"$create" --config="$CONFIG" --patch="$WORK/patch" --leave-out-init --id=boot --output="$WORK" "$SOURCE" >"$WORK/err" 2>&1 ||
  fail "$(cat "$WORK/err")"
expect '^replaces .*get_option' "$WORK/err"
"$view" --file="$WORK/ksplice-boot.tar.gz" >"$WORK/view"
expect 'left out, as it has run already: the patch changes arch/x86/boot/compressed/kaslr\.o of the code' "$WORK/view"
