#!/usr/bin/env bash
# The core alone, with hand-made updates: every operation, every abort code, hooks, and its behaviour beside
# livepatch, kprobes, BPF, perf and the function tracers. One file each in core/scenarios; the whole log of
# the core, the hooks and the script is compared with the .expected file beside it.
# On 6.1; SERIES="6.1 6.12" does both, and 7.3+deb13 that of the other release. SCENARIOS="hooks busy" runs only these; UPDATE=1 writes the .expected files anew.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/vm/core/lib.sh
. "$SOURCE_TREE/tests/vm/core/lib.sh"
folder=$CORE_SOURCE/scenarios
names=${SCENARIOS:-$(basename -s .scenario -a "$folder"/*.scenario)}
# The kernel that watches itself has no BTF, which the programs of bpf_perf need.
[ -z "${KSPLICE_DEBUG:-}" ] || names=$(grep -vx bpf_perf <<<"$names")
files=(--file "$CORE_SOURCE/guest.sh")
for name in $names; do files+=(--file "$folder/$name.scenario"); done
for series in ${SERIES:-$own_series}; do
  get_core_kernel "$series"
  build_core
  boot_core --single --timeout 900 --console "$WORK/console" "${files[@]}" \
    <"$CORE_SOURCE/scenarios.guest" >"$WORK/transcript" || fail "the guest failed on $series: $(cat "$WORK/transcript")"
  # What a shell says about those it has killed is not the scenario's.
  sed -i '/^\(Terminated\|Killed\)$/d; s/ pid [0-9]*/ pid N/g; s/+0x[0-9a-f]*//g; s/expected [0-9a-f]*, found [0-9a-f]*/expected X, found Y/' \
    "$WORK/transcript"
  expect '^== done$' "$WORK/transcript"
  bad=
  for name in $names; do
    awk -v name="$name" '/^== / { on = $2 == name; next } on' "$WORK/transcript" >"$WORK/$name"
    if [[ $RELEASE == 7.* ]] && grep "^% not on this kernel: " "$WORK/$name"; then continue; fi
    [ -z "${UPDATE:-}" ] || cp "$WORK/$name" "$folder/$name.expected"
    diff -u "$folder/$name.expected" "$WORK/$name" || bad="$bad $name"
  done
  [ -z "$bad" ] || fail "another log than expected on $series:$bad"
done
