#!/bin/sh
# The example from the inside: run by busybox sh as root in a machine with a stock kernel, the four
# tools, ksplice-tcpdrop.tar.gz and tcp-drop-6688.patch in this folder. Prints a transcript of what
# it does and ends with status 1 at the first thing that is not as it should be.
#
# Used by examples/demo and tests/vm/main_job.sh.
set -u
id=tcpdrop

# check TEXT COMMAND...: says TEXT, and stops the script if the command fails.
check() {
  text=$1
  shift
  if "$@"; then echo "   ok: $text"; else
    echo "   FAILED: $text"
    dmesg | tail -n 20
    exit 1
  fi
}

# show COMMAND...: prints the command and its output, which stays in the file out.
show() {
  echo "# $*"
  "$@" >out 2>&1
  status=$?
  sed 's/^/   | /' out
  [ "$status" -eq 0 ] || { echo "   FAILED: status $status"; dmesg | tail -n 40; exit 1; }
}

says() { grep -qE -- "$1" out; }
connects() { [ "$(nc -w 3 127.0.0.1 "$1" </dev/null 2>/dev/null)" = "hello from $1" ]; }
refuses() { ! connects "$1"; }
logged() { dmesg | grep -qE -- "$1"; }
holds_patch() { ! grep -vxFf out tcp-drop-6688.patch; }
no_module() { ! grep ksplice /proc/modules; }
empty() { [ ! -s "$1" ]; }
gone() { [ ! -e "$1" ]; }

echo "== a stock kernel: $(uname -rv)"
for port in 6688 6689; do
  nc -ll -p $port -e echo "hello from $port" &
done
sleep 1
check "a connection to port 6688 succeeds" connects 6688
check "a connection to port 6689 succeeds" connects 6689

echo "== apply"
show ksplice-apply "ksplice-$id.tar.gz"
check "it says Done!" says '^Done!'
check "the kernel log says that update $id was applied" logged "ksplice: Update $id applied successfully"
check "a connection to port 6688 fails now" refuses 6688
check "a connection to port 6689 still succeeds" connects 6689
check "the kernel log shows the drop, with addresses and ports" \
  logged 'dropping TCP 127\.0\.0\.1:[0-9]+ -> 127\.0\.0\.1:6688'
dmesg | grep 'dropping TCP' | head -n 2 | sed 's/^/   | /'

echo "== view"
show ksplice-view
check "it lists the update" says "^$id: drop TCP to port 6688$"
show ksplice-view -q
check "only the id with -q" says "^$id$"
show ksplice-view --id=$id
check "it says that the update is applied" says 'present and applied'
check "it shows the source patch, every line" holds_patch

echo "== undo"
show ksplice-undo $id
check "a connection to port 6688 succeeds again" connects 6688
check "a connection to port 6689 succeeds" connects 6689
check "no module is left" no_module
check "no state is left in /sys/kernel/ksplice" gone /sys/kernel/ksplice
ksplice-view -q >out 2>&1
check "nothing is listed any more" empty out
echo "== done"
