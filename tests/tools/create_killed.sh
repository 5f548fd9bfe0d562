#!/usr/bin/env bash
# Creates that are killed at random moments, or interrupted, or run at the same time, do no harm:
# the next one makes the same tarball, byte by byte. An interrupted one leaves nothing behind.
#
# usage: create_killed.sh [KILLS]
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
get_kernel
make_patch fs/proc/version.c '/^static int version_proc_show/,/^}/s/return 0;/seq_puts(m, "patched\\n"); return 0;/'
export SOURCE_DATE_EPOCH=1 TMPDIR=$WORK/tmp
mkdir "$WORK/tmp" "$WORK/one" "$WORK/two"
command=("$create" --config="$CONFIG" --id=same --patch="$WORK/patch" --cache="$WORK/cache" "$SOURCE")

# stopped SIGNAL SECONDS: runs a create in a session of its own and ends it by the signal.
stopped() {
  local status=0
  setsid "${command[@]}" --output="$WORK/one" --raw-errors >"$WORK/out" 2>&1 &
  sleep "$2"
  kill "-$1" $! 2>/dev/null || true
  wait $! || status=$?
  echo "$1 after $2 s: status $status, $(tail -n 1 "$WORK/out" || true)"
  # 0: it was done already; 130: it had not begun yet.
  [ "$1" != INT ] || [ "$status" -eq 0 ] || [ "$status" -eq 130 ] || {
    expect '^interrupted$' "$WORK/out"
    [ -z "$(ls "$WORK/tmp")" ] || fail "left in the folder for temporary files: $(ls "$WORK/tmp")"
    sleep 0.5 # the kernel takes a moment to end them
    # shellcheck disable=SC2009  # pgrep cannot leave out zombies
    ! ps -o pid=,args= -s $! | grep -v defunct || fail "processes are left"
  }
  [ "$status" -eq 0 ] || [ -z "$(ls "$WORK/one")" ] || fail "a tarball of a stopped create"
  rm -rf "${WORK:?}/one/"* "${WORK:?}/tmp/"*
}

for ((i = 0; i < ${1:-3}; i++)); do
  moment=$((3 + RANDOM % 120))
  stopped "$([ $((i % 2)) -eq 0 ] && echo KILL || echo INT)" "$((moment / 10)).$((moment % 10))"
done

"${command[@]}" --output="$WORK/one" &
"${command[@]}" --output="$WORK/two"
wait $!
cmp "$WORK/one/ksplice-same.tar.gz" "$WORK/two/ksplice-same.tar.gz"
"$create" --config="$CONFIG" --id=same --patch="$WORK/patch" -q --output="$WORK/two" "$SOURCE"
cmp "$WORK/one/ksplice-same.tar.gz" "$WORK/two/ksplice-same.tar.gz"
