#!/usr/bin/env bash
# A room of objdiff/ includes only rooms below it, the programs on the host only what needs no library,
# and nothing outside of objdiff/arch/ names an opcode or a relocation type. Planted ones are found.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
rooms=(base arch object image match diff update)

# foreign FOLDER ALLOWED: the includes of its files that are none of the allowed ones.
foreign() {
  grep -rnE --include='*.cc' --include='*.h' '#include "' "$1" | grep -vE "\"($2)" || true
}

# find_wrong: all that is wrong in the current folder, one a line.
find_wrong() {
  local below='kmod-core/(ksplice_abi|breakpoint_path)\.h' room
  for room in "${rooms[@]}"; do
    below+="|objdiff/$room/[^/]*\$"
    foreign "objdiff/$room" "$below"
  done
  foreign create 'create/|objdiff/[a-z]*/[^/]*$'
  foreign create/package 'create/package/|objdiff/(base|arch)/[^/]*$'
  foreign apply 'apply/|create/package/|objdiff/base/|objdiff/(image/run_image|update/finalize)\.h|kmod-core/ksplice_abi\.h'
  find objdiff create apply -path objdiff/arch -prune -o \( -name '*.cc' -o -name '*.h' \) -print0 |
    xargs -0 grep -nHE 'R_X86_64|EM_X86|capstone|cs_[a-z]+\(|\b0x(0f|1f|90|66|8d|cc|e8|e9|eb|c3|f3|68|6a)\b' |
    grep -vE '0x1f.*0x8b|0xd6, 0xc3' || true # the heads of gzip and VCDIFF
}

# planted FILE LINE: is found in a copy, and nothing else.
planted() {
  cp -a "$WORK/tree/$1" "$WORK/kept"
  echo "$2" >>"$WORK/tree/$1"
  (cd "$WORK/tree" && find_wrong) >"$WORK/found"
  cp -a "$WORK/kept" "$WORK/tree/$1"
  [ "$(wc -l <"$WORK/found")" -eq 1 ] || fail "not found in $1: $2"
  grep -qF "$1:" "$WORK/found" || fail "found elsewhere than in $1: $(cat "$WORK/found")"
}

cd "$SOURCE_TREE"
find_wrong >"$WORK/wrong"
[ ! -s "$WORK/wrong" ] || fail "looks up, or knows the processor: $(cat "$WORK/wrong")"
mkdir "$WORK/tree"
cp -a objdiff create apply "$WORK/tree/"
planted objdiff/object/object.h '#include "objdiff/match/run_pre.h"'
planted objdiff/arch/arch.h '#include "objdiff/object/object.h"'
planted create/units.cc '#include "objdiff/arch/x86/tables.h"'
planted create/package/read.cc '#include "objdiff/object/elf_read.h"'
planted apply/load.cc '#include "create/overlay.h"'
planted objdiff/match/match_code.cc 'uint32_t type = R_X86_64_PC32;'
planted create/units.cc 'bool is_call = code[0] == 0xe8;'
