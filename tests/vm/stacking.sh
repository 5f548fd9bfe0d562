#!/usr/bin/env bash
# Updates on top of updates: three of one function, which share counters that the first one brought
# along (one is per-cpu), two of a module that is loaded later, and one of another function that only uses the counter. They are refused where what they stand
# on is missing or another one, and undone in any order that is safe.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

cmdline=fs/proc/cmdline.c
dummy=drivers/net/dummy.c
# change NAME FILE SED_SCRIPT: the patch $WORK/NAME.patch to the source in $tree.
change() {
  SOURCE=$tree make_patch "$2" "$3"
  mv "$WORK/patch" "$WORK/$1.patch"
}
# update ID [options]: its tarball.
update() {
  local id=$1
  shift
  "$create" --patch="$WORK/${PATCH:-$id}.patch" --config="$CONFIG" --id="$id" --description="the $id one" \
    --output="${OUT:-$WORK}" -q "$@" "$tree"
}
# patch_tree NAME: from now on that patch is in the source.
patch_tree() {
  local file
  for file in $cmdline $dummy; do
    cp "$(realpath "$tree/$file")" "$WORK/new-file"
    mv -f "$WORK/new-file" "$tree/$file"
  done
  patch -s -d "$tree" -p1 <"$WORK/$1.patch"
}
# change_dummy NAME NUMBER: adds to that patch that new dummy devices have this MTU.
change_dummy() {
  SOURCE=$tree make_patch $dummy "s/dev->max_mtu = 0;.*/dev->max_mtu = 0; dev->mtu = $2;/"
  cat "$WORK/patch" >>"$WORK/$1.patch"
}

make_updates() {
  tree=$WORK/source
  link_tree "$SOURCE" "$tree"
  change first $cmdline '
    s/^static int cmdline_proc_show/unsigned int cmdline_reads;\nstatic DEFINE_PER_CPU(unsigned int, cmdline_seen);\n\nstatic noinline void cmdline_wait(void)\n{\n\tif (!strcmp(current->comm, "sleeper"))\n\t\tmsleep_interruptible(8000);\n}\n\n&/
    s/^#include <linux.fs.h>/&\n#include <linux\/delay.h>\n#include <linux\/sched.h>/
    s/seq_putc(m, .*/seq_printf(m, " first %u\\n",\n\t\t   cmdline_reads = ++*per_cpu_ptr(\&cmdline_seen, 0));\n\tcmdline_wait();/'
  change_dummy first 1111
  change stranger $cmdline 's/seq_putc(m, .*/seq_puts(m, "stranger\\n");/'
  update first
  on_first=--on-top-of=$WORK/ksplice-first.tar.gz
  on_second=--on-top-of=$WORK/ksplice-second.tar.gz
  [ "$series" != "$own_series" ] || make_bad_updates

  patch_tree first
  change second $cmdline 's/ first %u/ second %u/'
  change_dummy second 2222
  change user fs/proc/version.c '
    s/^static int version_proc_show/extern unsigned int cmdline_reads;\n\n&/
    s/utsname()->version);/&\n\tseq_printf(m, "counted %u\\n", cmdline_reads);/'
  update second "$on_first"
  update user "$on_first"
  [ "$series" != "$own_series" ] || make_other_updates

  patch_tree second
  change third $cmdline 's/ second %u/ third %u/'
  update third "$on_first" "$on_second"
  [ "$series" != "$own_series" ] || refused_create 1 needs_update --patch="$WORK/third.patch" "$on_second" "$tree"
}

# From the source without the first patch: refused, and another update that has the id of the first.
make_bad_updates() {
  refused_create 3 no_match --patch="$WORK/stranger.patch" "$on_first" "$tree"
  expect "ksplice_first_vmlinux: SOURCE must have that update's patch" "$WORK/err"
  mkdir "$WORK/other"
  sed 's/ first %u/ other first %u/' "$WORK/first.patch" >"$WORK/other.patch"
  PATCH=other OUT=$WORK/other update first
}

# With the first patch: on top of the first alone; apart from it; and refused as it is not named.
make_other_updates() {
  PATCH=second update fork "$on_first" --only-targets=vmlinux
  change apart fs/proc/uptime.c '0,/^\treturn 0;/s//\tseq_puts(m, "apart\\n");\n&/'
  update apart "$on_first" --json >"$WORK/apart.json"
  expect '"stands_on": \[\]' "$WORK/apart.json"
  refused_create 3 no_match --patch="$WORK/second.patch" "$tree"
  refused_create 3 failed_to_find --patch="$WORK/user.patch" "$tree"
}

for series in ${SERIES:-$own_series}; do
  get_kernel --series "$series"
  rm -rf "${WORK:?}"/*
  make_updates
  files=()
  for tarball in "$WORK"/ksplice-*.tar.gz; do files+=(--file "$tarball"); done
  [ "$series" != "$own_series" ] || files+=(--file "$WORK/other/ksplice-first.tar.gz:root/other.tar.gz")
  boot_vm --module dummy "${files[@]}" --console "$WORK/console" <<'EOS' | tee "$WORK/transcript"
must() { "$@" || { echo "FAILED: $*"; ksplice-view; exit 1; }; }
is() { [ "$1" = "$2" ] || { echo "FAILED: expected '$1', found '$2'"; exit 1; }; }
refused() { # CODE WORDS COMMAND...
  code=$1 words=$2
  shift 2
  "$@" >/tmp/out 2>/tmp/err
  status=$?
  [ $status = 3 ] && [ "$(head -n 1 /tmp/err)" = "$code" ] && grep -q "$words" /tmp/err && return
  echo "FAILED: status $status, expected 3, $code and '$words': $*"
  cat /tmp/err
  exit 1
}
original=$(cat /proc/cmdline)
reads=0
# shows WORD: the version of /proc/cmdline, after one more read.
shows() {
  reads=$((reads + 1))
  is "$original $1 $reads" "$(cat /proc/cmdline)"
}
# modprobe and ksplice-view read /proc/cmdline, too.
count_again() { reads=$(sed -n 's/^counted //p' /proc/version); }
apply() { must ksplice-apply -q --partial --late=allow "ksplice-$1.tar.gz"; }
mtu() { ip link add probe0 type dummy && cat /sys/class/net/probe0/mtu && ip link del probe0; }

echo "== each on top of what it was made for"
refused needs_update "update first, which is not applied" ksplice-apply --raw-errors ksplice-second.tar.gz
apply first
shows first
must ksplice-apply --check --partial ksplice-second.tar.gz
refused needs_update "update second, which is not applied" ksplice-apply --raw-errors ksplice-third.tar.gz
apply user
is "counted 1" "$(tail -n 1 /proc/version)"

echo "== a task that sleeps in the body of the lower one"
sh -c 'printf sleeper >/proc/$$/comm; read line </proc/cmdline' &
until grep -q msleep /proc/$!/stack; do must [ -e /proc/$! ]; done
refused code_busy "sleeper pid $! is in cmdline_proc_show" ksplice-apply --raw-errors --partial --attempts=3 ksplice-second.tar.gz
wait
apply second
reads=2
shows second
is "counted 3" "$(tail -n 1 /proc/version)"
ksplice-view --id=second
must [ "$(ksplice-view --id=second | grep stands_on)" = "stands_on: first" ]
apply third
count_again
shows third

echo "== a module that is loaded later"
modprobe dummy numdummies=0
is 1500 "$(mtu)"
is "2" "$(ksplice-view | grep -c 'module dummy was loaded later')"
refused needs_update "update first, which is not applied to dummy" ksplice-apply --raw-errors ksplice-second.tar.gz
must ksplice-apply -q ksplice-first.tar.gz
is 1111 "$(mtu)"
must ksplice-apply -q ksplice-second.tar.gz
is 2222 "$(mtu)"
count_again
shows third

echo "== not in the wrong order"
refused module_busy "first: third, second, user$" ksplice-undo --raw-errors first
refused module_busy "first: third$" ksplice-undo --raw-errors second
must grep -q "update third stands on update second" /tmp/err
if [ -e ksplice-apart.tar.gz ]; then
  # A second one that was made on top of the first alone; one that has nothing to do with it.
  refused conflict "replaced by update third already" ksplice-apply --raw-errors ksplice-fork.tar.gz
  apply apart
  is apart "$(tail -n 1 /proc/uptime)"
fi
count_again
shows third

echo "== from the newest to the oldest, the others at any time"
must ksplice-undo -q third
shows second
[ ! -e ksplice-apart.tar.gz ] || must ksplice-undo -q apart
must ksplice-undo -q second
is 1111 "$(mtu)"
count_again
shows first
refused module_busy "first: user$" ksplice-undo --raw-errors first
is "counted $reads" "$(tail -n 1 /proc/version)"
must ksplice-undo -q user
must ksplice-undo -q first
is "$original" "$(cat /proc/cmdline)"
is 1500 "$(mtu)"
must rmmod dummy
must [ ! -e /sys/module/ksplice ]

echo "== a module that comes later is patched by both before its init code runs"
must ksplice-apply -q --partial --late=patch ksplice-first.tar.gz
must ksplice-apply -q --partial --late=patch ksplice-second.tar.gz
must modprobe dummy numdummies=1
is 2222 "$(cat /sys/class/net/dummy0/mtu)"
is "" "$(ksplice-view | grep 'was loaded later')"
must rmmod dummy
must modprobe dummy numdummies=1
is 2222 "$(cat /sys/class/net/dummy0/mtu)"
must ksplice-undo -q second
is 1111 "$(mtu)"
must ksplice-undo -q first
is 1500 "$(mtu)"
must rmmod dummy
must [ ! -e /sys/module/ksplice ]

if [ -e other.tar.gz ]; then
  echo "== another update of the same id"
  must ksplice-apply -q --partial other.tar.gz
  reads=0
  shows "other first"
  refused wrong_update "not the one" ksplice-apply --raw-errors ksplice-second.tar.gz
  must ksplice-undo -q first
  apply first
  apply fork
  reads=0
  shows second
  must ksplice-undo -q fork
  must ksplice-undo -q first
  is "$original" "$(cat /proc/cmdline)"
fi
grep ksplice /proc/modules && exit 1
echo "== done"
EOS
  [ "$(tail -n 1 "$WORK/transcript")" = "== done" ] || fail "the transcript on $series is not whole"
done
