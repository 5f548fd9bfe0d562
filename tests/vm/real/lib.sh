# A real Debian in the emulator, for the tests that need one: source it after tests/lib.sh.
#
# The guest is a copy of the disk that make-image makes, with systemd and ssh, and restarts as a machine does: by itself
# after a panic, and when it says so. DEBIAN=13 takes that release. KSPLICE_PATIENCE is how many times the usual time is
# waited; PACKAGES names a folder where packaging/build has put packages already, made on the guest's release, UPDATES one
# with updates that were made before.
# Commands run in the guest over ssh, as root.
# shellcheck shell=bash disable=SC2034,SC2154

patience=${KSPLICE_PATIENCE:-1}
boot_id=none
guest_pid=

# real_debian: sets IMAGE, CONFIG, SOURCE and PACKAGES.
real_debian() {
  [ "$(id -u)" -eq 0 ] || skip "only root can make the disk of a guest"
  IMAGE=$("$SOURCE_TREE/tests/vm/real/make-image" "${DEBIAN:-$(host_debian)}") || fail "no disk for a guest"
  get_kernel --debian "${DEBIAN:-$(host_debian)}"
  if [ -z "${PACKAGES:-}" ]; then
    PACKAGES=$WORK/packages
    "$SOURCE_TREE/packaging/build" "$PACKAGES" || fail "no packages"
  fi
  package=$(echo "$PACKAGES"/ksplice-tools_*.deb)
}

# make_update ID FILE SED_SCRIPT [options of create]: $WORK/ksplice-ID.tar.gz
make_update() {
  if [ -n "${UPDATES:-}" ] && [ -e "$UPDATES/ksplice-$1.tar.gz" ]; then
    cp "$UPDATES/ksplice-$1.tar.gz" "$WORK"
    return
  fi
  make_patch "$2" "$3"
  "$create" --patch="$WORK/patch" --config="$CONFIG" --id="$1" --output="$WORK" -q "${@:4}" "$SOURCE"
}

# start_guest DISK [options of QEMU]: with APPEND on its command line; $WORK/console gets its console, of all starts.
start_guest() {
  local disk=$1
  port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  # A session of its own, preferred, as tests/vm/boot has it and for its reason.
  setsid sh -c '{ echo -10 >/proc/$$/autogroup; } 2>/dev/null; exec setpriv --pdeathsig KILL "$@"' guest \
    "${KSPLICE_QEMU:-qemu-system-x86_64}" -accel tcg,thread=multi -cpu max,check=off -smp 2 -m 1024 -nodefaults -display none \
    -kernel "$IMAGE/vmlinuz" -initrd "$IMAGE/initrd" \
    -append "root=/dev/vda console=ttyS0,115200 no_timer_check loglevel=6 oops=panic panic=1 ${APPEND:-}" \
    -drive "file=$disk,if=virtio,format=raw,cache=unsafe" -device virtio-rng-pci \
    -netdev "user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:$port-:22" -device virtio-net-pci,netdev=net,addr=3 \
    -chardev "file,id=console,path=$WORK/console,append=on" -serial chardev:console \
    -monitor "unix:$WORK/monitor,server,nowait" "${@:2}" </dev/null &
  guest_pid=$!
  boot_id=none
}

# guest [COMMAND]: runs it, or the script on stdin.
guest() {
  [ $# -gt 0 ] || set -- bash -s
  ssh -F /dev/null -q -p "$port" -i "$IMAGE/key" -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
    -o ConnectTimeout=20 -o ServerAliveInterval=15 -o ControlMaster=auto -o ControlPath="$WORK/ssh" -o ControlPersist=yes \
    root@127.0.0.1 "$@"
}

leave_guest() { ssh -q -O exit -o ControlPath="$WORK/ssh" root@127.0.0.1 2>/dev/null || true; }

# send FILE...: to /root.
send() { tar -C / -cf - "${@/#\//}" | guest "tar -C /root --no-same-owner --transform='s|.*/||' -xf -"; }

# await_boot [SECONDS]: until a boot that was not seen before lets somebody in, and is complete.
await_boot() {
  local end=$((SECONDS + ${1:-300} * patience)) id
  leave_guest
  while [ $SECONDS -lt $end ]; do
    kill -0 "$guest_pid" 2>/dev/null || fail "the emulator has ended: $(tail -n 30 "$WORK/console")"
    if id=$(guest cat /proc/sys/kernel/random/boot_id </dev/null) && [ "$id" != "$boot_id" ]; then
      boot_id=$id
      # Waits for the boot's jobs; what failed there is for the test to ask.
      guest "systemctl is-system-running --wait || true" </dev/null >"$WORK/running"
      return 0
    fi
    leave_guest
    sleep 2
  done
  fail "no boot that lets somebody in; end of the console: $(tail -n 60 "$WORK/console")"
}

# shellcheck disable=SC2120
reboot_guest() {
  guest "systemctl reboot" </dev/null || true
  await_boot "$@"
}

# Waits until the guest is off.
stop_guest() {
  guest "systemctl poweroff" </dev/null || true
  wait_end
}

wait_end() {
  local end=$((SECONDS + 120 * patience))
  while kill -0 "$guest_pid" 2>/dev/null; do
    [ $SECONDS -lt $end ] || fail "the guest does not end: $(tail -n 30 "$WORK/console")"
    sleep 1
  done
  leave_guest
}

# The power goes.
kill_guest() {
  kill -KILL "$guest_pid" 2>/dev/null || true
  wait "$guest_pid" 2>/dev/null || true
  leave_guest
}

# console_is_clean: of what tests/vm/boot takes for a splat.
console_is_clean() {
  python3 - "$SOURCE_TREE/tests/vm/boot" "$WORK/console" <<'EOS' || fail "the kernel's log is not clean"
import importlib.machinery, importlib.util, pathlib, sys
loader = importlib.machinery.SourceFileLoader("boot", sys.argv[1])
boot = importlib.util.module_from_spec(importlib.util.spec_from_loader("boot", loader))
loader.exec_module(boot)
# All of it counts as the time in which a busy machine may be to blame.
bad = [line for line in boot.read_text(pathlib.Path(sys.argv[2])).splitlines()
       if boot.SPLAT.search(line) and not boot.HARMLESS.search(line) and not boot.STARVED.search(line)]
print(*bad[:20], sep="\n")
sys.exit(bool(bad))
EOS
}

# Defined in every script that runs in the guest.
guest_words='
set -u
fail() { echo "FAILED in the guest: $*"; cat /tmp/out /tmp/err /var/lib/ksplice/boot.json; journalctl -b -u "ksplice*" --no-pager; exit 1; } 2>/dev/null
# runs STATUS COMMAND...: ends with it; its output is in /tmp/out and /tmp/err.
runs() {
  local wanted=$1 status=0
  shift
  "$@" >/tmp/out 2>/tmp/err || status=$?
  [ $status = "$wanted" ] || fail "status $status, not $wanted: $*"
}
says() { grep -qE -- "$1" /tmp/out /tmp/err || fail "it does not say: $1"; }
applied() { [ "$(cat "/sys/kernel/ksplice/$1/stage" 2>/dev/null)" = applied ]; }
none() { [ ! -e /sys/kernel/ksplice ] && ! grep -q ksplice /proc/modules; }
state() { systemctl show -P "$1" "$2"; }
export DEBIAN_FRONTEND=noninteractive
'

# in_guest WHAT <SCRIPT: runs it there with the words above.
in_guest() {
  { echo "$guest_words"; cat; echo 'echo "== done"'; } | guest >"$WORK/out" 2>&1 || true
  sed "s/^/$1: /" "$WORK/out"
  [ "$(tail -n 1 "$WORK/out")" = "== done" ] || fail "$1"
}
