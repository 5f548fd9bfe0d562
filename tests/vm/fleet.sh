#!/usr/bin/env bash
# One tarball for two kernels, each with its own source: made once, applied in a guest of each. A
# damaged delta is refused, and a kernel that the tarball does not hold, naming those that it holds.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
for series in 6.1 6.12; do
  get_kernel --series $series
  mkdir "$WORK/$series"
  for file in .config vmlinuz modules build; do ln -s "$(realpath "$CONFIG/$file")" "$WORK/$series/$file"; done
  ln -s "$SOURCE" "$WORK/$series/source"
  make_patch fs/proc/cmdline.c "s/seq_putc(m, '.n');/seq_puts(m, \" patched\\\\n\");/"
done
"$create" --patch="$WORK/patch" --config="$WORK/6.1" --config="$WORK/6.12" --id=fleet --output="$WORK" --json \
  >"$WORK/json"
"$create" --patch="$WORK/patch" --config="$WORK/6.12" --id=single --output="$WORK" -q
python3 - "$WORK" <<'EOS'
import io, json, sys, tarfile
result = json.load(open(sys.argv[1] + "/json"))
assert len(result["kernels"]) == 2 and result["replaced"] == ["cmdline_proc_show"], result
with tarfile.open(sys.argv[1] + "/ksplice-fleet.tar.gz") as good:
    members = [(m, good.extractfile(m).read()) for m in good]
(core,) = [m.name for m, _ in members if m.name.endswith("/ksplice.ko.vcdiff")]
with tarfile.open(sys.argv[1] + "/damaged.tar.gz", "w:gz") as bad:
    for member, data in members:
        if member.name == core:
            data = data[:len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1:]
        bad.addfile(member, io.BytesIO(data))
EOS
"$view" --file="$WORK/ksplice-fleet.tar.gz" >"$WORK/out"
[ "$(grep -c '^kernel 6\.1' "$WORK/out")" = 2 ] || fail "ksplice-view does not show both kernels"
refused 1 bad_tarball "$view" --file="$WORK/damaged.tar.gz"

cat >"$WORK/guest" <<'EOS'
refused() { # STATUS CODE COMMAND...
  wanted=$1 code=$2
  shift 2
  "$@" >/tmp/out 2>/tmp/err
  status=$?
  [ $status = $wanted ] && [ "$(head -n 1 /tmp/err)" = $code ] && return
  echo "status $status, expected $wanted and $code: $*"
  cat /tmp/err
  exit 1
}
check() { "$@" || { echo "failed: $*"; exit 1; }; }
refused 1 bad_tarball ksplice-apply --raw-errors damaged.tar.gz
if uname -r | grep -q '^6\.1\.'; then
  refused 3 wrong_kernel ksplice-apply --raw-errors ksplice-single.tar.gz
  check grep -E '^ +6\.12.*, build id [0-9a-f]{40}$' /tmp/err
fi
grep ksplice /proc/modules && exit 1
grep patched /proc/cmdline && exit 1
check ksplice-apply ksplice-fleet.tar.gz
check grep -q patched /proc/cmdline
check ksplice-undo fleet
grep patched /proc/cmdline && exit 1
echo "== done"
EOS
for series in 6.1 6.12; do
  CONFIG=$WORK/$series
  boot_vm --file "$WORK/ksplice-fleet.tar.gz" --file "$WORK/ksplice-single.tar.gz" --file "$WORK/damaged.tar.gz" \
    <"$WORK/guest" | tee "$WORK/transcript"
  [ "$(tail -n 1 "$WORK/transcript")" = "== done" ] || fail "the transcript is not whole"
done
