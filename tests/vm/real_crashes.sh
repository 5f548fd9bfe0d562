#!/usr/bin/env bash
# A real Debian whose boot an update does not survive: one that oopses (and the host panics) while it is brought back, one
# with which it panics five seconds after, one with which systemd hangs, until a watchdog restarts the host. The second
# boot comes up by itself, without the update, and says so. KINDS and TRIES: what is tried, and how often. Slow.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/vm/real/lib.sh
. "$(dirname "$0")/real/lib.sh"
real_debian
tries=${TRIES:-10}

# They do it only where a word on the kernel's command line says so; the first boot is without.
[[ " ${KINDS:=oops later hang} " != *" oops "* ]] || make_update oops fs/proc/cmdline.c '
/^#include <linux\/seq_file.h>/a #include <ksplice-patch.h>
s/seq_puts(m, saved_command_line);/& seq_putc(m, 32);/
/^static int __init /i static int crash(void)\n{\n\tif (strstr(saved_command_line, "crash"))\n\t\t*(volatile int *)8 = 1;\n\treturn 0;\n}\nksplice_pre_apply(crash);\n'
[[ " $KINDS " != *" later "* ]] || make_update later fs/proc/cmdline.c '
/^#include <linux\/seq_file.h>/a #include <linux/timer.h>\n#include <ksplice-patch.h>
s/seq_puts(m, saved_command_line);/& seq_putc(m, 32);/
/^static int __init /i static void crash(struct timer_list *timer)\n{\n\tpanic("five seconds later");\n}\nstatic DEFINE_TIMER(crash_timer, crash);\nstatic void begin(void)\n{\n\tif (strstr(saved_command_line, "crash"))\n\t\tmod_timer(\&crash_timer, jiffies + 5 * HZ);\n}\nksplice_post_apply(begin);\n'
[[ " $KINDS " != *" hang "* ]] || make_update hang kernel/fork.c '
s/^\tif ((args->flags & CLONE_PIDFD) &&/\twhile (current->pid == 1 \&\& strstr(saved_command_line, "crash"))\n\t\tschedule_timeout_uninterruptible(HZ);\n&/'
declare -A signs=(
  [oops]="Oops: .*" [later]="Kernel panic - not syncing: five seconds later" [hang]="softdog: Initiating system reboot")
declare -A reasons=(
  [oops]="while the update was being applied" [later]="shortly after the update was brought back at boot"
  [hang]="shortly after the update was brought back at boot")

cp "$package" "$WORK/package.deb"
cp --sparse=always "$IMAGE/disk" "$WORK/disk"
for kind in $KINDS; do
  start_guest "$WORK/disk"
  await_boot
  send "$WORK/package.deb" "$WORK/ksplice-$kind.tar.gz"
  in_guest "$kind: prepared" <<EOS
for id in \$(ls /var/lib/ksplice/updates 2>/dev/null); do runs 0 ksplice-undo "\$id"; done
[ -x /usr/sbin/ksplice-apply ] || runs 0 apt-get -q -y install /root/package.deb
mkdir -p /etc/systemd/system.conf.d
printf '[Manager]\nRuntimeWatchdogSec=2min\n' >/etc/systemd/system.conf.d/watchdog.conf
runs 0 ksplice-apply /root/ksplice-$kind.tar.gz
applied $kind || fail "it is not applied"
EOS
  stop_guest
  for try in $(seq "$tries"); do
    since=$SECONDS
    rm -f "$WORK/console"
    APPEND=crash start_guest "$WORK/disk" -snapshot
    await_boot 600
    in_guest "$kind: try $try, second boot after $((SECONDS - since)) s" <<EOS
none || fail "it is applied"
runs 0 ksplice-view
says "^$kind: in quarantine: the host went down ${reasons[$kind]} "
dmesg | grep -q "ksplice: update $kind is now in quarantine: the host went down" || fail "the kernel's log does not say it"
[ "\$(systemctl is-system-running)" = running ] || fail "the system is not well: \$(systemctl --failed)"
[ "\$(state Result ksplice-boot)/\$(state ExecMainStatus ksplice-boot)" = success/3 ] || fail "the unit"
EOS
    [ "$(grep -c "Linux version" "$WORK/console")" = 2 ] || fail "not at the second boot"
    expect "${signs[$kind]}" "$WORK/console"
    kill_guest
  done
done
echo "== done: $tries of $tries each of $KINDS"
