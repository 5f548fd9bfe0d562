#!/usr/bin/env bash
# Every code that a tool can end with is in codes.h, and ksplice-codes(7) is what is made of that.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
cd "$SOURCE_TREE"
packaging/make-codes | diff packaging/ksplice-codes.7 - || fail "run packaging/make-codes >packaging/ksplice-codes.7"
grep -oE '^    \{"[a-z_]+"' objdiff/base/codes.h | tr -dc 'a-z_\n' | sort >"$WORK/listed"
sed -n 's/^\.B \([a-z_]*\)$/\1/p' packaging/ksplice-codes.7 | sort -u >"$WORK/described"
diff "$WORK/listed" "$WORK/described" || fail "the page does not describe what is listed"

# used FOLDER...: the codes that its sources throw.
used() {
  grep -rhozE --include='*.cc' --include='*.h' '(Error|refuse|refusal)\(\s*"[a-z_]+"' "$@" | tr '\0' '\n'
  grep -rhoE --include='*.cc' --include='*.h' '\bcode = "[a-z_]+"' "$@" || true
}
used objdiff create apply | grep -oE '"[a-z_]+"' | tr -d '"' | sort -u >"$WORK/used"
[ "$(wc -l <"$WORK/used")" -gt 60 ] || fail "only these were found: $(cat "$WORK/used")"
comm -23 "$WORK/used" "$WORK/listed" >"$WORK/unlisted"
[ ! -s "$WORK/unlisted" ] || fail "not in codes.h: $(cat "$WORK/unlisted")"
echo 'throw Error("planted", "");' >"$WORK/planted.cc"
used "$WORK/planted.cc" | grep -q planted || fail "a planted code was not found"
