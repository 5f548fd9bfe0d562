#!/usr/bin/env bash
# A real Debian with the package of this tree: what is applied is back after a boot, early; stays where the package is
# upgraded, an upgrade is interrupted, it is removed; and nothing of the package is left when it is purged. Slow.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/vm/real/lib.sh
. "$(dirname "$0")/real/lib.sh"
real_debian
make_update lower fs/proc/version.c 's/utsname()->sysname,/"Lower",/'
make_update spaced fs/proc/cmdline.c 's/seq_puts(m, saved_command_line);/& seq_putc(m, 32);/'
mkdir "$WORK/newer"
dpkg-deb -R "$package" "$WORK/newer/tree"
sed -i 's/^Version: .*/&+newer/' "$WORK/newer/tree/DEBIAN/control"
dpkg-deb -b "$WORK/newer/tree" "$WORK/newer.deb" >/dev/null
cp "$package" "$WORK/older.deb"
cp --sparse=always "$IMAGE/disk" "$WORK/disk"
guest_words+='
both() { applied lower && applied spaced && grep -q "^Lower version" /proc/version && grep -q " $" /proc/cmdline; }
'

start_guest "$WORK/disk"
await_boot
send "$WORK"/{older,newer}.deb "$WORK"/ksplice-{lower,spaced}.tar.gz
in_guest "install and apply" <<'EOS'
cd /root
runs 0 apt-get -q -y install ./older.deb
for unit in ksplice-boot.service ksplice-healthy.timer; do
  [ "$(systemctl is-enabled $unit)" = enabled ] || fail "$unit is not enabled"
done
none || fail "the installation applies something"
runs 0 ksplice-apply ksplice-spaced.tar.gz
runs 0 ksplice-apply ksplice-lower.tar.gz
both || fail "it is not applied"
EOS
reboot_guest
in_guest "boot" <<'EOS'
both || fail "it is not brought back"
cat /proc/uptime
[ "$(state Result ksplice-boot)/$(state ActiveState ksplice-boot)" = success/active ] || fail "the unit"
[ "$(systemctl is-system-running)" = running ] || fail "the system is not well: $(systemctl --failed)"
journalctl -b -o cat --no-pager | grep -iE "ordering cycle" && fail "a circle of units"
# Before anybody talks to the network, and nearly everything else.
end=$(state ExecMainExitTimestampMonotonic ksplice-boot)
for unit in network-pre.target sysinit.target basic.target networking ssh; do
  [ "$(state ActiveEnterTimestampMonotonic $unit)" -gt "$end" ] || fail "$unit is there before"
done
[ "$(state ExecMainStartTimestampMonotonic networking)" -gt "$end" ] || fail "the network begins before"
echo "brought back from $(state ExecMainStartTimestampMonotonic ksplice-boot) to $end us after the start, ssh at $(state ActiveEnterTimestampMonotonic ssh)"
journalctl -b -u ksplice-boot -o cat --no-pager | grep -x "spaced: brought back" -A 1 | grep -qx "lower: brought back" || fail "not in order"
grep -q '"phase": "watched"' /var/lib/ksplice/boot.json || fail "nobody watches"
EOS
# Shut down in order before the time of its health is over.
stop_guest
APPEND=ksplice=off start_guest "$WORK/disk"
await_boot
in_guest "switched off by a word" <<'EOS'
none || fail "something is applied"
journalctl -b -u ksplice-boot -o cat --no-pager | grep -qx "nothing is brought back: ksplice=off on the kernel's command line" || fail "it does not say so"
runs 0 ksplice-view
says "^lower: missing: it is wanted"
touch /etc/ksplice/off
EOS
stop_guest
start_guest "$WORK/disk"
await_boot
in_guest "switched off by a file" <<'EOS'
none || fail "something is applied"
rm /etc/ksplice/off
runs 0 ksplice-boot
both || fail "it is not applied by hand"
# The timer runs already, and is begun anew by what was brought back by hand.
[ "$(state ActiveState ksplice-healthy.timer)" = active ] || fail "nobody will say that the host is healthy"
EOS
in_guest "upgrade" <<'EOS'
cd /root
cp -a /var/lib/ksplice /tmp/before
runs 0 apt-get -q -y install ./newer.deb
dpkg-query -W ksplice-tools | grep -q newer || fail "it is not upgraded"
both || fail "an upgrade loses an update"
diff -r /tmp/before /var/lib/ksplice || fail "an upgrade changes what was noted"
[ "$(state ActiveState ksplice-boot)/$(state ActiveState ksplice-healthy.timer)" = active/active ] || fail "an upgrade stops the units"
runs 0 apt-get -q -y --allow-downgrades install ./older.deb
both || fail "a downgrade loses an update"
diff -r /tmp/before /var/lib/ksplice || fail "a downgrade changes what was noted"
until [ ! -e /var/lib/ksplice/boot.json ]; do sleep 2; done
[ "$(state Result ksplice-healthy)" = success ] || fail "the timer's service"
# The power goes between the two halves of an upgrade.
runs 0 dpkg --unpack ./newer.deb
sync
EOS
kill_guest
start_guest "$WORK/disk"
await_boot
in_guest "interrupted upgrade" <<'EOS'
systemctl stop ksplice-healthy.timer
dpkg-query -W -f '${db:Status-Status}' ksplice-tools | grep -qx unpacked || fail "the upgrade was not interrupted"
both || fail "it is not brought back"
runs 0 dpkg --configure -a
[ "$(systemctl is-enabled ksplice-boot)" = enabled ] || fail "not enabled"
both || fail "it is lost"
EOS
in_guest "remove" <<'EOS'
grep -q '"phase": "watched"' /var/lib/ksplice/boot.json || fail "it is not watched any more"
runs 0 apt-get -q -y remove ksplice-tools
says "update lower stays in the kernel until the next boot"
both || fail "a removal takes an update out of the kernel"
[ -s /var/lib/ksplice/updates/lower/ksplice-lower.tar.gz ] || fail "a removal forgets"
systemctl --failed --no-legend | grep ksplice && fail "a unit has failed"
true
EOS
reboot_guest
in_guest "without the package" <<'EOS'
none || fail "who has brought it back?"
systemctl --failed --no-legend | grep ksplice && fail "a unit has failed"
cd /root
runs 0 apt-get -q -y install ./newer.deb
runs 0 ksplice-boot
both || fail "it is not known any more"
EOS
reboot_guest
in_guest "purge" <<'EOS'
both || fail "it is not brought back"
runs 0 apt-get -q -y purge ksplice-tools
both || fail "a purge takes an update out of the kernel"
find / -xdev -name '*ksplice*' ! -path '/root/*' ! -path '/var/log/*' ! -path '/var/cache/*' ! -path '/var/lib/apt/*' | grep . && fail "something is left"
systemctl daemon-reload
systemctl list-unit-files --no-legend 'ksplice*' | grep . && fail "a unit is left"
true
EOS
reboot_guest
in_guest "purged" <<'EOS'
none || fail "something is applied"
systemctl --failed --no-legend | grep ksplice && fail "a unit has failed"
true
EOS
stop_guest
console_is_clean
echo "== done"
