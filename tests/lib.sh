# Shared by the test scripts and the demonstration: source it first.
#
# Gives WORK (a folder removed at exit), SOURCE_TREE (this repository), BUILD (the build directory,
# from KSPLICE_BUILD), the programs create, apply, view, undo, objdiff as variables, and the functions below.
# shellcheck shell=bash
set -euo pipefail

SOURCE_TREE=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BUILD=${KSPLICE_BUILD:-$SOURCE_TREE/build}
# shellcheck disable=SC2034  # used by the scripts that source this file
{
  create=$BUILD/create/ksplice-create
  sign=$BUILD/create/ksplice-sign
  apply=$BUILD/apply/ksplice-apply
  boot=$BUILD/apply/ksplice-boot
  view=$BUILD/apply/ksplice-view
  trace=$BUILD/apply/ksplice-trace
  undo=$BUILD/apply/ksplice-undo
  objdiff=$BUILD/objdiff/ksplice-objdiff
}
export KSPLICE_BUILD=$BUILD
CACHE=${KSPLICE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/ksplice}
WORK=$(mktemp -d "${TMPDIR:-/tmp}/ksplice-test.XXXXXX")
trap 'rm -rf "$WORK"' EXIT

# host_debian: the release of this machine, 12 or 13.
host_debian() { sed -n 's/^VERSION_ID="\(.*\)"$/\1/p' /etc/os-release; }

# The series of its own kernel, and those of all its kernels that are tested. SERIES names others: "6.12+deb13",
# "6.1-rt", "6.12+deb13 7.3+deb13-generic" (words for --series of tests/kernel); a test for one kernel takes the first.
# shellcheck disable=SC2034
case $(host_debian) in
  13) own_series=6.12 all_series=6.12 ;;
  *) own_series=6.1 all_series="6.1 6.12" ;;
esac
# shellcheck disable=SC2034
[ -z "${SERIES:-}" ] || own_series=${SERIES%% *} all_series=$SERIES

# Ends the test as failed.
fail() {
  echo "FAILED: $*" >&2
  exit 1
}

# Ends the test as skipped; ctest counts it.
skip() {
  echo "skipped: $*" >&2
  exit 77
}

# not COMMAND...: the command must fail by itself, not by a signal.
not() {
  local status=0
  "$@" || status=$?
  [ "$status" -ne 0 ] || fail "succeeded, and should not have: $*"
  [ "$status" -lt 126 ] || fail "crashed or could not be run (status $status): $*"
}

# exits STATUS COMMAND...: the command must end with exactly this status.
exits() {
  local wanted=$1 status=0
  shift
  "$@" || status=$?
  [ "$status" -eq "$wanted" ] || fail "status $status, expected $wanted: $*"
}

# expect REGEX FILE: a line of the file must match.
expect() {
  grep -qE -- "$1" "$2" || fail "no line of $2 matches '$1'; it holds:
$(head -c 8000 "$2")"
}

# expect_no REGEX FILE: no line of the file may match.
expect_no() {
  ! grep -nE -- "$1" "$2" >&2 || fail "a line of $2 matches '$1'"
}

# shellcheck disable=SC2120
# get_kernel [options of tests/kernel fetch]: sets VERSION RELEASE CONFIG SOURCE, and kernel_gcc, its compiler. CONFIG
# of a kernel of the other release names a root directory of that release.
get_kernel() {
  local paths
  [ $# -gt 0 ] || set -- --series "$own_series"
  paths=$("$SOURCE_TREE/tests/kernel" fetch --shell "$@") || fail "no kernel to test with"
  eval "$paths"
  local debian=12
  [[ $RELEASE != *+deb13* ]] || debian=13
  # shellcheck disable=SC2034
  if [ $debian = 12 ]; then kernel_gcc=gcc-12; else kernel_gcc=gcc-14; fi
  [ $debian = "$(host_debian)" ] || use_root
}

# use_root: CONFIG becomes a directory like it, in which a root directory is named.
use_root() {
  local folder=$WORK/.kernels/$RELEASE file
  if [ ! -e "$folder/root" ]; then
    mkdir -p "$folder"
    for file in .config System.map vmlinuz modules build; do ln -sfn "$(realpath "$CONFIG/$file")" "$folder/$file"; done
    "$create" --make-root -q --config="$folder" >/dev/null
  fi
  CONFIG=$folder
}

# get_other_kernel: the same for the other release's own kernel.
get_other_kernel() { get_kernel --debian $((25 - $(host_debian))); }

# kernel_make [arguments of make]: with the compiler and the libraries that the kernel was built with.
kernel_make() {
  local root
  if [ ! -e "$CONFIG/root" ]; then make "$@"; return; fi
  root=$(realpath "$CONFIG/root")
  bwrap --die-with-parent --unshare-net --ro-bind "$root/usr" /usr --symlink usr/bin /bin --symlink usr/lib /lib \
    --symlink usr/lib64 /lib64 --ro-bind "$root/etc" /etc --proc /proc --dev /dev --tmpfs /tmp \
    --ro-bind "$SOURCE_TREE" "$SOURCE_TREE" --bind "$CACHE" "$CACHE" --ro-bind "$CACHE/kernels" "$CACHE/kernels" --bind "$WORK" "$WORK" make "$@"
}

# build_module FOLDER: a copy of it in $WORK, built there as its author would, against the kernel's headers,
# which name their common part, and since 7.3 their own place, by an absolute path and are only unpacked here.
build_module() {
  local headers file copy
  headers=$(realpath "$CONFIG/build")
  copy=$WORK/$(basename "$1")
  rm -rf "$WORK/headers"
  mkdir "$WORK/headers"
  for file in "$headers"/* "$headers"/.[a-z]*; do ln -s "$(realpath "$file")" "$WORK/headers/"; done
  rm "$WORK/headers/Makefile"
  # A build that is called from another folder than it knows builds there, through the links.
  sed "s|^KBUILD_OUTPUT=.*|KBUILD_OUTPUT=$WORK/headers|; s|/usr/src/|$(dirname "$headers")/|" "$headers/Makefile" >"$WORK/headers/Makefile"
  cp -r "$1" "$copy"
  kernel_make -s -C "$WORK/headers" M="$copy" CC="$kernel_gcc" modules >"$WORK/make" 2>&1 || fail "$(cat "$WORK/make")"
}

# make_module FOLDER: a copy of it in $WORK, built there against the kernel's headers as they lie here.
make_module() {
  local headers common copy
  headers=$(readlink -f "$CONFIG/build")
  common=$(echo "$(dirname "$headers")"/linux-headers-*-common)
  copy=$WORK/$(basename "$1")
  cp -r "$1" "$WORK"
  kernel_make -s -C "$common" O="$headers" M="$copy" CONFIG_DEBUG_INFO_BTF_MODULES= modules >"$WORK/make" 2>&1 ||
    fail "$copy does not build: $(cat "$WORK/make")"
}

# boot_vm [options of tests/vm/boot] <SCRIPT: boots $CONFIG, runs the script given on stdin. KSPLICE_VM is
# a command to run it with, for machines that have to take turns: KSPLICE_VM="flock /tmp/vm.lock".
boot_vm() {
  cat >"$WORK/guest-script"
  # shellcheck disable=SC2086
  ${KSPLICE_VM:-} "$SOURCE_TREE/tests/vm/boot" --config "$CONFIG" --script "$WORK/guest-script" "$@"
}

# refused STATUS CODE COMMAND...: the command must end with this status and, as it is given
# --raw-errors, print this code alone on the first line of stderr; stderr stays in $WORK/err.
refused() {
  local status=0 wanted=$1 code=$2 first
  shift 2
  "$@" --raw-errors >"$WORK/out" 2>"$WORK/err" </dev/null || status=$?
  first=$(grep -m 1 -xE '[a-z_]+' "$WORK/err" || true)
  [ "$status/$first" = "$wanted/$code" ] || fail "status $status, code '$first', expected $wanted and '$code': $*
$(head -c 6000 "$WORK/err")"
}

# refused_create STATUS CODE [options of ksplice-create] SOURCE: and no tarball is left behind.
refused_create() {
  local status=$1 code=$2
  shift 2
  mkdir -p "$WORK/output"
  refused "$status" "$code" "$create" --config="${CONFIG_DIR:-$CONFIG}" --id=bad --output="$WORK/output" "$@"
  [ -z "$(ls -A "$WORK/output")" ] || fail "something was left in the output folder"
}

# make_signer NAME [options of openssl req]: $WORK/NAME.key and .cert, a certificate for CN=NAME.
make_signer() {
  (umask 077 && openssl req -x509 -newkey rsa:2048 -sha256 -nodes -days 30 -subj "/CN=$1" \
    -keyout "$WORK/$1.key" -out "$WORK/$1.cert" "${@:2}" 2>"$WORK/make") || fail "$(cat "$WORK/make")"
}

# make_patch FILE SED_SCRIPT: a patch to that file of $SOURCE, in $WORK/patch.
make_patch() {
  sed -e "$2" "$SOURCE/$1" >"$WORK/new-file"
  diff -up --label "a/$1" --label "b/$1" "$SOURCE/$1" "$WORK/new-file" >"$WORK/patch" &&
    fail "the edit '$2' does not change $1"
  true
}

# own_mounts: the rest of the test runs with mounts of its own, which end with it.
own_mounts() {
  if [ -n "${KSPLICE_OWN_MOUNTS:-}" ]; then
    # What is mounted below WORK comes off with it, before its files are removed.
    mount --bind "$WORK" "$WORK"
    trap 'umount -lR "$WORK" && rm -rf "$WORK"' EXIT
    return 0
  fi
  rm -rf "$WORK"
  local how=--mount
  [ "$(id -u)" -eq 0 ] || how=--map-root-user\ --mount
  # shellcheck disable=SC2086
  unshare $how true 2>/dev/null || skip "this system gives no private mounts"
  # shellcheck disable=SC2086
  KSPLICE_OWN_MOUNTS=1 exec unshare $how bash "$0"
}

# writable_source: lets the test write to $SOURCE, without consequences.
writable_source() {
  SOURCE=$(realpath "$SOURCE")
  mkdir "$WORK/written" "$WORK/overlay"
  mount -t overlay overlay -o "lowerdir=$SOURCE,upperdir=$WORK/written,workdir=$WORK/overlay" "$SOURCE"
}

# link_tree FROM TO: a tree of symbolic links, in which single files can be replaced by others.
link_tree() { cp -as "$(realpath "$1")" "$2"; }
