#!/usr/bin/env bash
# What bash proposes: the options that --help has, ids, words and files.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=packaging/ksplice.bash
. "$SOURCE_TREE/packaging/ksplice.bash"
mkdir "$WORK/bin"
# shellcheck disable=SC2016  # for the program's own shell
printf '#!/bin/sh\n[ "$1" = -q ] || { echo "bad: in quarantine: it went down"; exit; }\necho abc; echo abd; echo xyz\n' >"$WORK/bin/ksplice-view"
chmod +x "$WORK/bin/ksplice-view"
PATH=$WORK/bin:$PATH

# proposes WANTED PROGRAM WORD...: for the last word.
proposes() {
  local wanted=$1
  COMP_WORDS=("${@:2}")
  COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
  _ksplice "$2"
  [ "${COMPREPLY[*]}" = "$wanted" ] || fail "proposes '${COMPREPLY[*]}', expected '$wanted': ${*:2}"
}

proposes "--partial" "$apply" --pa
proposes "--late --late-timeout" "$apply" --late
proposes "refuse" "$apply" --late = r
proposes "patch refuse allow" "$apply" --late =
proposes "--sign-cert --sign-key" "$create" --sig
proposes "--cve --cves" "$view" --cve
proposes "abc abd" "$undo" ab
proposes "xyz" "$view" --id x
proposes "--duration" "$trace" --du
proposes "" "$trace" --top 1
proposes "" "$trace" --tripwire a
proposes "bad" "$boot" --lift =
proposes "" "$create" --cve CV
cd "$WORK"
proposes "abc abd" "$trace" ab # and files
mkdir config-a config-b
touch config-c x.tar.gz
proposes "config-a config-b" "$create" --config = conf
proposes "x.tar.gz" "$apply" x
proposes "x.tar.gz" "$trace" --svg x # and no ids
# Each option of each program is found.
for program in "$create" "$sign" "$apply" "$boot" "$trace" "$view" "$undo"; do
  [ "$(_ksplice_options "$program" | wc -l)" -ge 6 ] || fail "too few options of $program"
  _ksplice_options "$program" | grep -qx -- --help || fail "no --help of $program"
done
