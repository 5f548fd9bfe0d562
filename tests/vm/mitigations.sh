#!/usr/bin/env bash
# What a kernel writes over its code differs by the processor and by the mitigations that it chooses: units are
# compared with the running kernel, and a function is replaced and given back. A call is counted (retbleed=stuff) by
# an instruction before the function: another one there is noticed. MACHINES=all does all of them, MACHINES="..." has
# lines of one's own, each a QEMU processor and words for the kernel's command line. On 6.12, or on what SERIES names.
# Two units, or those of tests/whole/live.units, some thousand functions of the kernel and of modules, with UNITS=all.
# BOOT=pvh starts the kernel where its Xen note says (as Xen does a PVH guest), not by unpacking itself.
# KSPLICE_QEMU is another emulator than the one that is installed (tests/vm/qemu-of-13).
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
all='
Nehalem
Haswell
Skylake-Server
Skylake-Server retbleed=stuff
Skylake-Server retbleed=off spectre_v2=retpoline
Skylake-Server spectre_v2=ibrs
Cascadelake-Server spectre_v2=eibrs,lfence
Cascadelake-Server indirect_target_selection=force
Icelake-Server indirect_target_selection=vmexit
Icelake-Server spectre_v2=eibrs pti=on
SapphireRapids
SapphireRapids ibt=off indirect_target_selection=off
EPYC retbleed=unret
EPYC retbleed=ibpb
EPYC-Rome spec_rstack_overflow=safe-ret
EPYC-Milan spec_rstack_overflow=ibpb
EPYC-Genoa
max ibt=off
max mitigations=off
max nosmp'
machines=${MACHINES:-Skylake-Server retbleed=stuff}
[ "$machines" != all ] || machines=$all

units=(fs/read_write.o net/ipv4/udp.o)
[ "${UNITS:-}" != all ] || units=(--list "$SOURCE_TREE/tests/whole/live.units")

"${KSPLICE_QEMU:-qemu-system-x86_64}" -cpu help >"$WORK/models"
cat >"$WORK/guest" <<'EOS'
must() { "$@" || { echo "FAILED: $*"; cat /tmp/err; exit 1; }; }
# check: status and code of a comparison; code_busy is said after everything was compared.
check() {
  ksplice-apply --check --raw-errors ksplice-check.tar.gz >/tmp/out 2>/tmp/err
  status=$?
  code=$(grep -m 1 -xE '[a-z_]+' /tmp/err)
  case "$status$code" in 0 | 3code_busy) return 0 ;; esac
  return 1
}
for module in $(cat modules); do must modprobe "$module"; done
must check
original=$(cat /proc/cmdline)
must ksplice-apply -q ksplice-other.tar.gz
[ "$(cat /proc/cmdline)" = "$original other" ] || { echo "FAILED: the new code does not run"; exit 1; }
must ksplice-undo -q other
[ "$(cat /proc/cmdline)" = "$original" ] || { echo "FAILED: the old code does not run"; exit 1; }
cd /sys/devices/system/cpu/vulnerabilities
echo "found: $(for name in retbleed spectre_v2 spec_rstack_overflow indirect_target_selection; do
  [ ! -e $name ] || sed "s/^Mitigation: //; s/[,;].*//; s/^/$name: /" $name; done | tr '\n' ',') clocksource: $(cat /sys/devices/system/clocksource/clocksource0/current_clocksource), on: $(dmesg | sed -n 's/.*Booting paravirtualized kernel on //p')"
if grep -q retbleed=stuff /proc/cmdline; then
  grep -q Stuffing retbleed || { echo "FAILED: calls are not counted: $(cat retbleed)"; exit 1; }
  cd /root
  addr=$(awk '$3 == "security_file_permission" { print $1 }' /proc/kallsyms)
  must insmod poke.ko addr="$(printf '0x%x' $((0x$addr - 1)))" flip=1
  check && { echo "FAILED: another instruction before a called function is not noticed"; exit 1; }
  grep -q 'rw_verify_area+0x' /tmp/err || { echo "FAILED: it is not said where"; cat /tmp/err; exit 1; }
  must rmmod poke
  must check
fi
echo "== done"
EOS

try() { # MODEL WORD...: boots it, if this QEMU has it
  local model=$1
  shift
  if ! grep -qw -- "${model%%,*}" "$WORK/models"; then
    echo "$RELEASE | $model | $* | not tried: this QEMU has no such processor"
    return
  fi
  if [[ $RELEASE == 6.1.* && $* == *retbleed=stuff* ]]; then
    echo "$RELEASE | $model | $* | not tried: calls are counted since 6.2"
    return
  fi
  boot_vm --single --cpu "$model" --append "$*" "${files[@]}" --file "$WORK/ksplice-check.tar.gz" --file "$WORK/ksplice-other.tar.gz" \
    --file "$WORK/poke/poke.ko" <"$WORK/guest" >"$WORK/transcript" || fail "$model $* on $RELEASE: $(cat "$WORK/transcript")"
  [ "$(tail -n 1 "$WORK/transcript")" = "== done" ] || fail "the transcript is not whole"
  echo "$RELEASE | $model | $* | $(sed -n 's/^found: //p' "$WORK/transcript" | head -n 1)"
}

# use_pvh: CONFIG gets the kernel itself, an ELF file with the note, instead of the image that unpacks it.
use_pvh() {
  rm -rf "$WORK/pvh"
  mkdir "$WORK/pvh"
  bash "$SOURCE/scripts/extract-vmlinux" "$CONFIG/vmlinuz" >"$WORK/pvh/vmlinuz"
  for file in .config modules build; do ln -s "$(realpath "$CONFIG/$file")" "$WORK/pvh/$file"; done
  CONFIG=$WORK/pvh
}

for series in ${SERIES:-6.12}; do
  get_kernel --series "$series"
  "$BUILD/tests/check_tarball" --config "$CONFIG" --source "$SOURCE" --cache "$CACHE" --id check --output "$WORK" \
    "${units[@]}"
  awk '$2 != "vmlinux" { print $2 }' "$WORK/functions" | sort -u >"$WORK/modules"
  files=(--file "$WORK/modules")
  while read -r module; do files+=(--module "$module"); done <"$WORK/modules"
  make_patch fs/proc/cmdline.c "s/seq_putc(m, '.n');/seq_puts(m, \" other\\\\n\");/"
  "$create" --patch="$WORK/patch" --config="$CONFIG" --id=other --output="$WORK" -q "$SOURCE"
  make_module "$SOURCE_TREE/tests/whole/poke"
  [ "${BOOT:-}" != pvh ] || use_pvh
  while read -r -u 3 line; do
    # shellcheck disable=SC2086
    [ -z "$line" ] || try $line
  done 3<<<"$machines"
done
