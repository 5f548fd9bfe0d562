#!/usr/bin/env bash
# --debug-info: the patched lines are found where the code is, in sources that come along, and the tarball stays
# the same.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
get_kernel
export SOURCE_DATE_EPOCH=1
file=fs/proc/version.c
patch=$SOURCE_TREE/examples/read-a-trace/read-a-trace.patch
mkdir "$WORK/with" "$WORK/without" "$WORK/root"
make_update() { "$create" --config="$CONFIG" --patch="$patch" --id=seen -q "$@" "$SOURCE" >"$WORK/out"; }
make_update --output="$WORK/without"
make_update --output="$WORK/with" --debug-info --json
cmp "$WORK/with/ksplice-seen.tar.gz" "$WORK/without/ksplice-seen.tar.gz" || fail "the tarball is another one"
[ ! -e "$WORK/without/ksplice-seen-dbg.tar.gz" ] || fail "it was not asked for"
expect "\"debug_tarball\": \".*/ksplice-seen-dbg.tar.gz\"" "$WORK/out"
tar -C "$WORK/root" -xzf "$WORK/with/ksplice-seen-dbg.tar.gz"

# By build id, and by the module's name.
tar -xOzf "$WORK/with/ksplice-seen.tar.gz" --wildcards '*/vmlinux.ko' >"$WORK/update.ko"
id=$(readelf -n "$WORK/update.ko" | sed -n 's/^ *Build ID: //p')
debug=$WORK/root/usr/lib/debug/.build-id/${id:0:2}/${id:2}.debug
[ -s "$debug" ] || fail "no $debug"
link=$WORK/root/usr/lib/debug/lib/modules/$RELEASE/ksplice/ksplice_seen_vmlinux.ko
[ "$(realpath "$link")" = "$debug" ] || fail "$link does not lead to $debug"

# Each address of the new body has a line of the patched source, the new one among them.
source=/usr/src/ksplice-seen/$RELEASE
line=$(grep -n WARN_ONCE "$WORK/root$source/$file" | cut -d: -f1)
read -r address size < <(readelf -Ws "$debug" | awk '$8 == "ksplice_seen_version_proc_show" { print "0x" $2, $3 }')
for ((at = 0; at < size; at++)); do printf '%#x\n' $((address + at)); done |
  addr2line -f -e "$debug" -j .text >"$WORK/lines"
pattern="^${source//+/[+]}/$file:$line( |\$)"
expect "$pattern" "$WORK/lines"
expect '^version_proc_show$' "$WORK/lines"
grep / "$WORK/lines" | cut -d: -f1 | sort -u >"$WORK/files"
while read -r each; do [ -s "$WORK/root$each" ] || fail "$each does not come along"; done <"$WORK/files"

# As the kernel names it in its log, by an address within the instruction.
inside=$(grep / "$WORK/lines" | grep -nE "$pattern" | head -n 1 | cut -d: -f1)
echo "[    3.2]  ksplice_seen_version_proc_show+$(printf %#x "$inside")/$(printf %#x "$size") [ksplice_seen_vmlinux]" >"$WORK/log"
: >"$WORK/vmlinux"
bash "$SOURCE/scripts/decode_stacktrace.sh" "$WORK/vmlinux" "$source" "$(dirname "$link")" <"$WORK/log" >"$WORK/decoded"
expect "ksplice_seen_version_proc_show \\($file:$line( |\\))" "$WORK/decoded"
expect_no "^ *\[.*\.text +PROGBITS" <(readelf -WS "$debug")
! grep -qaF "$CACHE" "$debug" || fail "the debug information names the cache"
exits 2 "$create" --debug-info --prebuild "$SOURCE" 2>/dev/null
