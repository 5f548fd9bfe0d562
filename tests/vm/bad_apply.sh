#!/usr/bin/env bash
# ksplice-apply and ksplice-undo refuse what they must, and leave the kernel and the disk as they were.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
patch=$SOURCE_TREE/examples/tcp-drop-6688/tcp-drop-6688.patch
make_update() { "$create" --patch="$patch" --config="$CONFIG" --id="$1" --output="$2" --description="$3" --cve=CVE-2099-1234 -q "$SOURCE"; }

get_other_kernel
make_update other "$WORK" "for another kernel"
get_kernel
make_update good "$WORK" "the good one"
mkdir "$WORK/second"
make_update good "$WORK/second" "another update with the same id"
"$SOURCE_TREE/tests/mangle-tarball" "$WORK/ksplice-good.tar.gz" "$WORK/bad" >"$WORK/list"
# replace_in_module FROM TO NAME: a tarball that is right, but has TO at one place of its update module.
replace_in_module() {
  python3 - "$WORK/ksplice-good.tar.gz" "$WORK/$3.tar.gz" "$1" "$2" <<'EOP'
import hashlib, io, sys, tarfile
with tarfile.open(sys.argv[1]) as archive:
    members = [(m, archive.extractfile(m).read() if m.isfile() else b"") for m in archive.getmembers()]
old = next(data for m, data in members if m.name.endswith(".ko") and "ksplice.ko" not in m.name)
text = [word.encode().decode("unicode_escape").encode() for word in sys.argv[3:]]
assert old.count(text[0]) == 1 and len(text[0]) == len(text[1]), old.count(text[0])
new = old.replace(*text)
digest = [hashlib.sha256(data).hexdigest().encode() for data in (old, new)]
with tarfile.open(sys.argv[2], "w:gz") as archive:
    for member, data in members:
        data = new if data == old else data.replace(*digest)
        archive.addfile(member, io.BytesIO(data) if member.isfile() else None)
EOP
}
replace_in_module ' SMP ' ' UP_ ' magic     # of a kernel for one processor: the kernel's loader refuses it
replace_in_module '\0good\0' '\0gOod\0' stranger # registers as another update than the tarball says
# Signed ones: another's, one of an older generation, one that has expired, and one that was altered.
make_signer one
make_signer other
# signed NAME SIGNER [options of ksplice-sign]
signed() {
  mkdir "$WORK/signed" && "$sign" --key="$WORK/$2.key" --cert="$WORK/$2.cert" --output="$WORK/signed" -q "${@:3}" "$WORK/ksplice-good.tar.gz"
  mv "$WORK/signed/ksplice-good.tar.gz" "$WORK/signed-$1.tar.gz" && rmdir "$WORK/signed"
}
signed good one --generation=2
signed old one --generation=1
signed other other
signed brief one --generation=2 --expires="$(date -u -d '+20 seconds' +%FT%TZ)"
mkdir "$WORK/altered" && tar -xzf "$WORK/signed-good.tar.gz" -C "$WORK/altered"
sed -i 's/the good one/the evil one/' "$WORK/altered/ksplice-good/manifest.json"
tar -czf "$WORK/signed-altered.tar.gz" -C "$WORK/altered" ksplice-good
files=(--file "$WORK/one.cert")
for name in good old other brief altered; do files+=(--file "$WORK/signed-$name.tar.gz"); done
while read -r tarball; do files+=(--file "$tarball:root/bad/$(basename "$tarball")"); done <"$WORK/list"

boot_vm "${files[@]}" --file "$WORK/ksplice-other.tar.gz" --file "$WORK/ksplice-good.tar.gz" \
  --file "$WORK/magic.tar.gz" --file "$WORK/stranger.tar.gz" --file "$WORK/second/ksplice-good.tar.gz:root/second.tar.gz" --console "$WORK/console" <<'EOS' | tee "$WORK/transcript"
state() { cat /proc/modules; find /sys/kernel/ksplice /etc/ksplice /var/lib /run /root /etc -type f ! -path /run/ksplice/lock -exec md5sum {} + 2>/dev/null; }

# refused STATUS CODE COMMAND...: with that status and code, and the same state before and after.
refused() {
  wanted=$1 code=$2
  shift 2
  state >/tmp/before
  "$@" >/tmp/out 2>/tmp/err
  status=$?
  state >/tmp/after
  cmp /tmp/before /tmp/after || { echo "state changed by: $*"; diff /tmp/before /tmp/after; exit 1; }
  if [ $status -eq "$wanted" ] && [ "$(head -n 1 /tmp/err)" = "$code" ]; then echo "ok: $code: $*"; else
    echo "status $status, expected $wanted and $code: $*"
    cat /tmp/err
    exit 1
  fi
}

for tarball in bad/*; do refused 1 bad_tarball ksplice-apply --raw-errors "$tarball"; done
refused 3 wrong_kernel ksplice-apply --raw-errors ksplice-other.tar.gz
refused 1 load_failed ksplice-apply --raw-errors magic.tar.gz
grep "version magic '.* UP_ " /tmp/err || { cat /tmp/err; exit 1; }
refused 1 bad_tarball ksplice-apply --raw-errors stranger.tar.gz
refused 1 bad_tarball ksplice-apply --raw-errors --timeout 2 stranger.tar.gz
chmod 755 /root && chmod 644 ksplice-good.tar.gz
refused 1 not_permitted su user -c "/usr/sbin/ksplice-apply --raw-errors /root/ksplice-good.tar.gz"
refused 1 unknown_update ksplice-undo --raw-errors nothere
refused 1 unknown_update ksplice-undo --raw-errors ../../etc

ksplice-apply ksplice-good.tar.gz 2>/tmp/err || exit 1
grep -x 'note: this host has no /etc/ksplice/trust.pem: it applies what nobody has signed' /tmp/err || exit 1
[ "$(ksplice-view --cves)" = "CVE-2099-1234: fixed_live by update good" ] || exit 1
ksplice-view --prometheus | grep -x 'ksplice_update_applied{id="good",stage="applied"} 1' || exit 1
ksplice-apply ksplice-good.tar.gz >/tmp/out || exit 1
grep -x 'Update good is already applied.' /tmp/out || exit 1
refused 3 id_in_use ksplice-apply --raw-errors second.tar.gz
refused 1 not_permitted su user -c "/usr/sbin/ksplice-undo --raw-errors good"
ksplice-undo good || exit 1
refused 1 unknown_update ksplice-undo --raw-errors good
[ -z "$(ksplice-view --cves)" ] && [ "$(ksplice-view --cve=CVE-2099-1234)" = "CVE-2099-1234: unknown" ] || exit 1
refused 1 no_cves ksplice-view --raw-errors --openvex
su user -c 'cat /run/ksplice/lock' 2>/dev/null && { echo "a user can open what the tools lock"; exit 1; }
grep ksplice /proc/modules && exit 1

# A host that trusts one key.
ksplice-view --file=signed-good.tar.gz | grep -x 'signed by CN=one, generation 2, expires never: not checked, as this host has no trust file' || exit 1
mkdir -m 755 /etc/ksplice && cp one.cert /etc/ksplice/trust.pem
refused 3 not_signed ksplice-apply --raw-errors ksplice-good.tar.gz
refused 3 unknown_signer ksplice-apply --raw-errors signed-other.tar.gz
refused 3 bad_signature ksplice-apply --raw-errors signed-altered.tar.gz
refused 3 not_signed ksplice-apply --raw-errors --check ksplice-good.tar.gz
refused 3 not_signed ksplice-apply --raw-errors --extract-modules=/tmp ksplice-good.tar.gz
while [ "$(date -u +%FT%TZ)" "<" "$(ksplice-view --json --file=signed-brief.tar.gz | sed -n 's/.*"expires": "\(.*\)".*/\1/p')" ]; do sleep 1; done
refused 3 expired ksplice-apply --raw-errors signed-brief.tar.gz
ksplice-view --file=signed-brief.tar.gz | grep 'refused here (expired: the update has expired)' || exit 1
chmod 666 /etc/ksplice/trust.pem
refused 1 bad_trust ksplice-apply --raw-errors signed-good.tar.gz
chmod 644 /etc/ksplice/trust.pem
# All that is against one, at once; the status is that of the first.
refused 3 not_signed ksplice-apply --raw-errors --check ksplice-other.tar.gz
grep 'refused: wrong_kernel' /tmp/err || exit 1
ksplice-apply --check --json ksplice-other.tar.gz >/tmp/out && exit 1
[ $? = 3 ] && grep '"result": "refused"' /tmp/out && [ "$(grep -c '"verdict": "refused"' /tmp/out)" = 2 ] || exit 1
ksplice-apply --check signed-good.tar.gz || exit 1
echo 'p:probe tcp_v4_rcv' >/sys/kernel/tracing/kprobe_events && echo 1 >/sys/kernel/tracing/events/kprobes/probe/enable
refused 0 'note: kprobes, of which one of BPF can end calls with bpf_override_return(), are at tcp_v4_rcv' ksplice-apply --check signed-good.tar.gz
grep -x 'Update good can be applied.' /tmp/out || exit 1
echo 0 >/sys/kernel/tracing/events/kprobes/probe/enable && echo >/sys/kernel/tracing/kprobe_events
mount -t tmpfs -o size=4k tmpfs /run && mount -t tmpfs -o size=4k tmpfs /var/lib
ksplice-apply --check --json signed-good.tar.gz >/tmp/out || { cat /tmp/out; exit 1; }
[ "$(grep -A 1 '"check": "space"' /tmp/out | tail -n 1)" = '      "verdict": "warning",' ] || { cat /tmp/out; exit 1; }
grep '"result": "checked"' /tmp/out || exit 1
umount /var/lib && umount /run
[ ! -e /var/lib/ksplice ] || exit 1
ksplice-apply -v signed-old.tar.gz 2>/tmp/err | grep -x 'signed by CN=one' || exit 1
grep '^note:' /tmp/err && exit 1
ksplice-undo good || exit 1
ksplice-apply signed-good.tar.gz || exit 1
ksplice-undo good || exit 1
refused 3 old_generation ksplice-apply --raw-errors signed-old.tar.gz
echo "update good" >/etc/ksplice/revoked
refused 3 revoked ksplice-apply --raw-errors signed-good.tar.gz
ksplice-view --json --file=signed-good.tar.gz | grep '"trust": "revoked"' || exit 1
ls -R /var/lib/ksplice
echo "== done"
EOS
[ "$(tail -n 1 "$WORK/transcript")" = "== done" ] || fail "the transcript is not whole"
