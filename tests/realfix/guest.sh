#!/bin/sh
# Inside the virtual machine of tests/realfix/run. The file "updates" has one line per update:
#   ID SOURCE_FILE [TARGET_MODULE]...
# For each: load the targets, check, apply, exercise, view, undo, apply, undo. One line per step
# goes out, "@ID STEP ok" or "@ID STEP failed STATUS: end of its output", and "@ID end" at the end.
set -u

report() { echo "@$id $*"; }

step() {
  name=$1
  shift
  "$@" >log 2>&1
  status=$?
  if [ $status -eq 0 ]; then report "$name ok"; else
    report "$name failed $status: $(tail -n 12 log | tr '\n' ' ')"
    return 1
  fi
}

tcp_round_trip() {
  nc -l -p 7000 -e echo hello &
  listener=$!
  sleep 0.3
  [ "$(nc -w 3 "$1" 7000 </dev/null)" = hello ]
  answered=$?
  # Left alone, it would be waited for by the next that waits for all.
  kill $listener 2>/dev/null
  return $answered
}

# mount_image TYPE COMMAND_TO_MAKE_IT...: works in a fresh file system of that type.
mount_image() {
  type=$1
  shift
  modprobe loop
  modprobe "$type" 2>/dev/null
  grep -qw "$type" /proc/filesystems || return 0
  dd if=/dev/zero of=/tmp/image bs=1M count=24 2>/dev/null && "$@" /tmp/image >/dev/null || return 1
  mkdir -p /mnt/image && mount -o loop -t "$type" /tmp/image /mnt/image || return 1
  work_in /mnt/image
  result=$?
  umount /mnt/image && rm /tmp/image && return $result
}

work_in() {
  mkdir -p "$1/a/b" && echo text >"$1/a/file" && mv "$1/a/file" "$1/a/b/moved" &&
    [ "$(cat "$1/a/b/moved")" = text ] && ls -lR "$1" >/dev/null && rm -r "$1/a" && sync
}

# A little of everything that is cheap, and of the subsystem that the patched file belongs to.
exercise() {
  work_in /tmp && mount -t tmpfs none /mnt && work_in /mnt && umount /mnt || return 1
  for _ in 1 2 3 4 5; do true | cat & done
  wait
  cat /proc/self/maps /proc/meminfo /proc/mounts /proc/net/tcp /proc/interrupts >/dev/null || return 1
  cat /sys/kernel/mm/transparent_hugepage/enabled /sys/class/net/lo/* >/dev/null 2>&1
  case $1 in
    net/* | drivers/net/* | security/* | kernel/bpf/*)
      tcp_round_trip 127.0.0.1 && ping -c 1 -W 2 127.0.0.1 || return 1
      tcp_round_trip ::1 && ping -6 -c 1 -W 2 ::1 || return 1
      nc -w 1 127.0.0.1 7001 </dev/null # refused
      ip link add name br0 type bridge 2>/dev/null && ip link set br0 up && ip link del br0
      true
      ;;
    fs/exfat/* | fs/fat/* | fs/super.c | fs/namei.c | block/* | fs/quota/*)
      mount_image vfat mkdosfs
      ;;
    fs/ext4/* | fs/jbd2/* | fs/crypto/*)
      mount_image ext4 mke2fs -F
      ;;
    fs/proc/* | fs/sysfs/* | fs/configfs/* | kernel/cgroup/*)
      find /proc/sys /sys/class /sys/kernel -maxdepth 3 >/dev/null
      mount -t cgroup2 none /mnt && mkdir /mnt/group && rmdir /mnt/group && umount /mnt
      ;;
    drivers/md/*) true ;;
  esac
}

listed() { ksplice-view -q | grep -qx "$id"; }
kept() { ksplice-view | grep -q "^$id: .*(reversed, kept)\$"; }
gone_or_kept() { ! listed || kept; }
# The core stays for what any of the updates before has kept.
no_module() {
  kept && return
  ! grep "ksplice_${id}_" /proc/modules && { ksplice-view | grep -q '(reversed, kept)$' || ! grep ksplice /proc/modules; }
}

# What a target asks for only through request_module(), whose absence its self-test warns of.
load_targets() {
  case " $* " in *" drbg "*) modprobe ctr && modprobe sha512_generic || return 1 ;; esac
  for module in "$@"; do modprobe "$module" || return 1; done
}

one_update() {
  id=$1 source=$2
  shift 2
  echo "realfix: $id $source" >/dev/kmsg
  report start
  tarball=ksplice-$id.tar.gz
  step load load_targets "$@" || return
  report "taint_before $(cat /proc/sys/kernel/tainted)"
  step check ksplice-apply --check "$tarball" || return
  step apply ksplice-apply -v "$tarball" || return
  report "pause $(cat /sys/kernel/ksplice/"$id"/pause_ns 2>/dev/null)"
  step exercise exercise "$source"
  step view listed
  step undo ksplice-undo "$id" || return
  step again ksplice-apply "$tarball" || return
  step exercise_again exercise "$source"
  step undo_again ksplice-undo "$id" || return
  step gone_or_kept gone_or_kept
  kept && report "kept yes"
  step no_module no_module
}

while read -r line; do
  # shellcheck disable=SC2086  # the line is words
  one_update $line </dev/null
  if listed && ! kept; then step clean_up ksplice-undo "$id"; fi
  report "taint $(cat /proc/sys/kernel/tainted)"
  report end
done <updates
