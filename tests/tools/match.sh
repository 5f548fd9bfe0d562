#!/usr/bin/env bash
# ksplice-objdiff match: exit codes, text and JSON, on a kernel of two functions.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
cd "$WORK"
cat >unit.c <<'END'
const char linux_banner[] = "Linux version 6.1.0-tiny (builder) #1\n";
static const int steps[] = { 3, 5, 8 };
int next(int x) { return steps[x % 3] + x; }
int twice(int x) { return next(next(x)) ^ 0x1234; }
END
flags=(-O2 -mcmodel=kernel -fno-pic -ffreestanding -fcf-protection=none)
cc "${flags[@]}" -c unit.c -o run.o
cc "${flags[@]}" -ffunction-sections -fdata-sections -c unit.c -o pre.o
cc -nostdlib -static -no-pie -Wl,-Ttext-segment=0xffffffff81000000,--defsym=_text=0xffffffff81000000,-e,0 \
  run.o "$SOURCE_TREE/tests/unit/tables.lds" -o vmlinux

exits 0 "$objdiff" match --image vmlinux pre.o >out
expect '^matched +ffffffff81[0-9a-f]+ +next$' out
expect '2 matched, 0 absent, 0 mismatched' out
exits 0 "$objdiff" match --json --image vmlinux pre.o >json
python3 -c 'import json; o = json.load(open("json")); assert o["image"]["release"] == "6.1.0-tiny"
assert [f["status"] for f in o["objects"][0]["functions"]] == ["matched"] * 2'

# The same with one constant changed in the image.
LC_ALL=C sed 's/\x34\x12\x00\x00/\x35\x12\x00\x00/' vmlinux >patched
exits 3 "$objdiff" match --image patched pre.o >out
expect '^mismatched .*twice' out
expect '1234' out
expect 'no_match' out

exits 1 "$objdiff" match --image vmlinux absent.o 2>err
expect 'absent.o' err
exits 2 "$objdiff" match pre.o >out 2>&1
printf "ffffffff81000000 T _text\nffffffff81000004 T next\n" >System.map
exits 3 "$objdiff" match --image vmlinux --system-map System.map pre.o 2>err
expect 'bad_system_map' err
exits 1 "$objdiff" match --image vmlinux --module vmlinux pre.o 2>err
expect 'no module' err
