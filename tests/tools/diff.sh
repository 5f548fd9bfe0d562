#!/usr/bin/env bash
# ksplice-objdiff diff: exit codes, text, and the JSON of the man page.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
cd "$WORK"
cat >unit.c <<'EOF'
struct ops { int (*read)(int); int (*write)(int); };
static int limit = 10, depth[4];
static int get(int x) { return x < limit ? depth[x & 3] : STEP; }
#ifdef HOOK
static int put(int x) { return x + limit; }
static struct ops ops = { .read = get, .write = put };
#else
static struct ops ops = { .read = get };
#endif
struct ops *current_ops = &ops;
EOF
compile() { cc -O2 -g -mcmodel=kernel -fno-pic -pg -mfentry -mrecord-mcount -fcf-protection=none -ffunction-sections \
  -fdata-sections -c unit.c -o "$1" "${@:2}"; }
compile pre.o -DSTEP=70
compile step.o -DSTEP=80
compile hook.o -DSTEP=70 -DHOOK

exits 0 "$objdiff" diff pre.o pre.o >out
expect '^no difference$' out
exits 0 "$objdiff" diff --explain pre.o step.o >out
expect '^changed function get in .text.get$' out
# shellcheck disable=SC2016  # operands
expect 'code at \+0x[0-9a-f]+: movl +\$0x50, %[a-z]+, was movl +\$0x46, %[a-z]+ \(.*unit.c:3\)$' out
exits 3 "$objdiff" diff pre.o hook.o >out
expect '^data_changed: ops.write changed at offset 0x8: ' out
expect '^hint: ' out

exits 3 "$objdiff" diff --json --explain pre.o hook.o >json
python3 - <<'EOF'
import json
found = json.load(open("json"))
assert list(found) == ["identical", "functions", "data", "refusals", "notes"], found
assert found["identical"] is False
put = found["functions"][0]
assert (put["name"], put["status"], put["section"], put["reasons"][0]["kind"]) == ("put", "new", ".text.put", "new"), put
assert found["data"] == [{"name": "ops", "status": "changed", "section": ".data.ops"}], found["data"]
refusal = found["refusals"][0]
assert list(refusal) == ["code", "object", "section", "symbol", "offset", "message", "expected", "found", "advice"]
assert (refusal["object"], refusal["offset"]) == ("hook.o", 8), refusal
assert (refusal["expected"], refusal["found"]) == ("00 00 00 00 00 00 00 00", "address of put"), refusal
EOF

exits 2 "$objdiff" diff pre.o 2>err >out
exits 1 "$objdiff" diff pre.o absent.o 2>err
expect 'absent.o' err
exits 1 "$objdiff" diff --json pre.o unit.c >json
python3 -c 'import json; assert json.load(open("json"))["error"]["code"] == "bad_file"'
# Every code that the differ refuses with is explained.
# shellcheck disable=SC2062  # the patterns are on standard input
sed -n '/of the differ/,/of ksplice-create/s/^ *{"\([a-z_]*\)".*/\1/p' "$SOURCE_TREE/objdiff/base/codes.h" |
  grep -ohFw -f - "$SOURCE_TREE"/objdiff/diff/*.cc | sort -u >codes
[ "$(wc -l <codes)" -gt 14 ] || fail "codes not found"
while read -r code; do expect "\\b$code\\b" "$SOURCE_TREE/objdiff/ksplice-objdiff.1"; done <codes
