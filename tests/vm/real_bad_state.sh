#!/usr/bin/env bash
# A real Debian in a bad state: damaged notes and copies, a full disk, a clock in the past. What is applied stays applied,
# each boot comes up, brings back what can be, and says what cannot, and why. Slow.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/vm/real/lib.sh
. "$(dirname "$0")/real/lib.sh"
real_debian
make_update lower fs/proc/version.c 's/utsname()->sysname,/"Lower",/'
make_update spaced fs/proc/cmdline.c 's/seq_puts(m, saved_command_line);/& seq_putc(m, 32);/'
cp "$package" "$WORK/package.deb"
cp --sparse=always "$IMAGE/disk" "$WORK/disk"
# shellcheck disable=SC2016  # for the shell in the guest
guest_words+='
both() { applied lower && applied spaced; }
copy=/var/lib/ksplice/updates/lower/ksplice-lower.tar.gz
# The boot is complete, and the unit ended with this status.
booted() {
  [ "$(systemctl is-system-running)" = running ] || fail "the system is not well: $(systemctl --failed)"
  [ "$(state Result ksplice-boot)/$(state ExecMainStatus ksplice-boot)" = "success/$1" ] || fail "the unit"
}
noted() { dmesg | grep -qE "ksplice: $1" || fail "the log does not say: $1"; }
'

start_guest "$WORK/disk"
await_boot
send "$WORK/package.deb" "$WORK"/ksplice-{lower,spaced}.tar.gz
in_guest "what was noted is damaged" <<'EOS'
cd /root
runs 0 apt-get -q -y install ./package.deb
runs 0 ksplice-apply ksplice-lower.tar.gz
runs 0 ksplice-apply ksplice-spaced.tar.gz
echo "{" >/var/lib/ksplice/boot.json
both || fail "it is not applied any more"
runs 0 ksplice-view
says "^note: .*boot.json cannot be used: "
EOS
reboot_guest
in_guest "after that boot" <<'EOS'
booted 1
noted "no update is brought back: /var/lib/ksplice/boot.json cannot be used: "
none || fail "something is applied"
rm /var/lib/ksplice/boot.json
runs 0 ksplice-boot
both || fail "it is not applied"
mv /var/lib/ksplice/updates /var/lib/ksplice/aside
touch /var/lib/ksplice/updates
both || fail "it is not applied any more"
EOS
reboot_guest
in_guest "after a boot without the folder" <<'EOS'
booted 1
noted "no update is brought back: /var/lib/ksplice/updates cannot be read: "
none || fail "something is applied"
rm /var/lib/ksplice/updates
mv /var/lib/ksplice/aside /var/lib/ksplice/updates
runs 0 ksplice-boot
both || fail "it is not applied"
printf X | dd of=$copy bs=1 seek=1000 conv=notrunc status=none
EOS
reboot_guest
in_guest "after a boot with a damaged copy" <<'EOS'
booted 1
noted "update lower: failed \(bad_tarball\): "
applied lower && fail "the damaged one is applied"
applied spaced || fail "the other one is not brought back"
runs 0 ksplice-apply /root/ksplice-lower.tar.gz
both || fail "it cannot be applied again"
EOS
in_guest "a full disk" <<'EOS'
fill() {
  for part in $(seq 8); do
    dd if=/dev/zero of=/full.$part bs=64k status=none 2>/dev/null
    sync
    dd if=/dev/zero bs=4k status=none 2>/dev/null >>/full.$part
    sync
  done
  true
}
fill
runs 0 ksplice-view
says "^lower: "
both || fail "it is not applied any more"
EOS
reboot_guest
in_guest "after a boot with a full disk" <<'EOS'
noted "update lower: failed \(no_space\): "
[ "$(state Result ksplice-boot)/$(state ExecMainStatus ksplice-boot)" = success/1 ] || fail "the unit"
none || fail "something is applied without a mark on the disk"
rm /full.*
runs 0 ksplice-boot
both || fail "it is not applied"
EOS
stop_guest
start_guest "$WORK/disk" -rtc base=2001-02-03T04:05:06
await_boot
in_guest "a clock in the past" <<'EOS'
date
booted 0
both || fail "it is not brought back"
runs 0 ksplice-view
runs 0 ksplice-undo spaced
runs 0 ksplice-apply /root/ksplice-spaced.tar.gz
both || fail "it cannot be applied"
EOS
stop_guest
console_is_clean
echo "== done"
