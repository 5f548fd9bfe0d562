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
refused_create 3 unsupported_file --patch="$WORK/all" "$SOURCE"
expect 'the assembly of arch/x86/platform/pvh/head\.o, which reads include/xen/interface/elfnote\.h' "$WORK/err"
expect 'arch/x86/entry/vdso/vclock_gettime\.o of the vdso.*, which reads lib/vdso/gettimeofday\.c' "$WORK/err"
expect 'include/generated/bounds\.h, which the kernel.s build makes' "$WORK/err"
expect '\+#define NR_PAGEFLAGS 2[0-9]' "$WORK/err"
