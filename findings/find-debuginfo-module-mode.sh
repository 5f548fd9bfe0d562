#!/usr/bin/env bash
# find-debuginfo of debugedit 5.0 (1:5.0-5 of Debian 12) splits the debug information only off files that somebody may
# execute. Kernel modules are installed with mode 0644 (by modules_install and in Debian's packages), so it passes over
# them all: it prints the usual words, ends with status 0 even under --strict-build-id, and its list of debug files is empty.
# With mode 0744 the same tree gives one debug file a module. Kernel packages must set the mode first and put it back.
#
# Seen: mode 0644: status 0, no debug file, an empty list; mode 0744: status 0, one debug file.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$here/packages" bookworm "$work" debugedit=1:5.0-5 libelf1=0.188-2.1 libdw1=0.188-2.1 elfutils=0.188-2.1 libasm1=0.188-2.1
export PATH=$work/usr/bin:$PATH LD_LIBRARY_PATH=$work/usr/lib/x86_64-linux-gnu
modules=$work/root/lib/modules/6.1.0/kernel
mkdir -p "$modules"
echo 'int init_module(void) { return 0; }' >"$work/small.c"
for mode in 0644 0744; do
  gcc -g -c "$work/small.c" -o "$work/small.o"
  ld -r --build-id "$work/small.o" -o "$modules/small.ko"
  chmod "$mode" "$modules/small.ko"
  status=0
  RPM_BUILD_DIR=$work RPM_BUILD_ROOT=$work/root RPM_PACKAGE_NAME=small RPM_PACKAGE_VERSION=1 RPM_PACKAGE_RELEASE=1 \
    RPM_ARCH=x86_64 find-debuginfo --strict-build-id -o list "$work" >"$work/said" 2>&1 || status=$?
  echo "mode $mode: status $status, $(find "$work/root/usr/lib/debug" -name '*.debug' -type f 2>/dev/null | wc -l) debug files, $(grep -c . "$work/list") lines in the list"
done | tee "$work/seen"
cat "$work/said" >&2
diff "$work/seen" - <<'SEEN'
mode 0644: status 0, 0 debug files, 0 lines in the list
mode 0744: status 0, 1 debug files, 7 lines in the list
SEEN
