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
  apply=$BUILD/apply/ksplice-apply
  view=$BUILD/apply/ksplice-view
  undo=$BUILD/apply/ksplice-undo
  objdiff=$BUILD/objdiff/ksplice-objdiff
}
export KSPLICE_BUILD=$BUILD
WORK=$(mktemp -d "${TMPDIR:-/tmp}/ksplice-test.XXXXXX")
trap 'rm -rf "$WORK"' EXIT

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

# get_kernel [options of tests/kernel fetch]: sets VERSION RELEASE CONFIG SOURCE.
get_kernel() {
  local paths
  paths=$("$SOURCE_TREE/tests/kernel" fetch --shell "$@") || fail "no kernel to test with"
  eval "$paths"
}

# boot_vm [options of tests/vm/boot] <SCRIPT: boots $CONFIG, runs the script given on stdin.
boot_vm() {
  cat >"$WORK/guest-script"
  "$SOURCE_TREE/tests/vm/boot" --config "$CONFIG" --script "$WORK/guest-script" "$@"
}
