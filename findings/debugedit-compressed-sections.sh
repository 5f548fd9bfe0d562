#!/usr/bin/env bash
# debugedit 5.0 (1:5.0-5 of Debian 12) does not look into compressed debug sections (SHF_COMPRESSED, gcc -gz or
# CONFIG_DEBUG_INFO_COMPRESSED). It reads the compressed bytes as DWARF, says "DWARF version 0 unhandled", rewrites no
# path, and ends with status 0. A build that goes by the status packs a debug file whose source paths are those of
# the builder's machine, and debuggers find no source. Decompress first (eu-elfcompress -t none), or take 5.1.
#
# Seen: without -gz DW_AT_name is /usr/src/kernel/add.c after the edit, with -gz it is still the builder's; status 0 twice.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$here/packages" bookworm "$work" debugedit=1:5.0-5 libelf1=0.188-2.1 libdw1=0.188-2.1 xxhash=0.8.1-1
mkdir "$work/builder"
echo 'int add(int a, int b) { return a + b; }' >"$work/builder/add.c"
for option in -gz=none -gz=zlib; do
  gcc -g $option -c "$work/builder/add.c" -o "$work/add.o"
  status=0
  LD_LIBRARY_PATH=$work/usr/lib/x86_64-linux-gnu "$work/usr/bin/debugedit" \
    -b "$work/builder" -d /usr/src/kernel "$work/add.o" 2>"$work/said" || status=$?
  name=$(objdump --dwarf=info "$work/add.o" | sed -n 's|.*DW_AT_name .*: \(/.*\)/add.c.*|\1|p')
  echo "$option: status $status, in ${name/$work/WORK}$(sed 's/.*: /, said: /' "$work/said")"
done | tee "$work/seen"
diff "$work/seen" - <<'SEEN'
-gz=none: status 0, in /usr/src/kernel
-gz=zlib: status 0, in WORK/builder, said: DWARF version 0 unhandled
SEEN
