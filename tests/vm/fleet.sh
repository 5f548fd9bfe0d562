#!/usr/bin/env bash
# One tarball for two kernels, of Debian 12 and 13, each with its own source, and one with the root directory of
# its release: made once, applied in a guest of each. A damaged delta is refused, and a kernel that the tarball does
# not hold, naming those that it holds.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
for debian in 12 13; do
  get_kernel --debian $debian
  mkdir "$WORK/$debian"
  for file in .config vmlinuz modules build; do ln -s "$(realpath "$CONFIG/$file")" "$WORK/$debian/$file"; done
  ln -s "$SOURCE" "$WORK/$debian/source"
  make_patch fs/proc/cmdline.c "s/seq_putc(m, '.n');/seq_puts(m, \" patched\\\\n\");/"
done
other=$((25 - $(host_debian)))
"$create" --make-root --config="$WORK/$other"
[ -x "$WORK/$other/root/usr/bin/make" ] || fail "the configuration directory names no root directory"
"$create" --patch="$WORK/patch" --config="$WORK/12" --config="$WORK/13" --id=fleet --output="$WORK" --json \
  >"$WORK/json"
"$create" --patch="$WORK/patch" --config="$WORK/13" --id=single --output="$WORK" -q
python3 - "$WORK" <<'EOS'
import io, json, sys, tarfile
result = json.load(open(sys.argv[1] + "/json"))
assert len(result["kernels"]) == 2 and result["replaced"] == ["cmdline_proc_show"], result
with tarfile.open(sys.argv[1] + "/ksplice-fleet.tar.gz") as good:
    members = [(m, good.extractfile(m).read()) for m in good]
delta = next(m.name for m, _ in members if m.name.endswith(".vcdiff"))  # code of two compilers has none
with tarfile.open(sys.argv[1] + "/damaged.tar.gz", "w:gz") as bad:
    for member, data in members:
        if member.name == delta:
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
for debian in 12 13; do
  CONFIG=$WORK/$debian
  boot_vm --file "$WORK/ksplice-fleet.tar.gz" --file "$WORK/ksplice-single.tar.gz" --file "$WORK/damaged.tar.gz" \
    <"$WORK/guest" | tee "$WORK/transcript"
  [ "$(tail -n 1 "$WORK/transcript")" = "== done" ] || fail "the transcript is not whole"
done
