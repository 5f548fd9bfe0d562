#!/usr/bin/env bash
# A limit in read-only data that only a table names, and one that can be written, changed without any code: refused
# with advice; with --change-values switched in the running kernel and put back. What somebody has set
# meanwhile is refused at apply and at undo. On 6.1, or on what SERIES names.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

try() { # --series S
  get_kernel "$@"
  make_patch kernel/sysctl.c 's/^\(static const int ngroups_max = NGROUPS_MAX\);/\1 - 2;/'
  cp "$WORK/patch" "$WORK/both"
  refused_create 3 data_changed --patch="$WORK/patch" "$SOURCE"
  expect '^hint: .* --change-values=ngroups_max$' "$WORK/err"
  refused_create 3 data_changed --patch="$WORK/patch" --change-pointers=ngroups_max "$SOURCE"
  make_patch fs/pipe.c 's/^\(static unsigned int pipe_max_size = 1048576\);/\1 \/ 2;/'
  cat "$WORK/patch" >>"$WORK/both"
  "$create" --patch="$WORK/both" --config="$CONFIG" --id=limits --output="$WORK" -q \
    --change-values=ngroups_max --change-values=pipe_max_size "$SOURCE"
  "$view" --file="$WORK/ksplice-limits.tar.gz" >"$WORK/view"
  expect 'switched with the code: 3 bytes of ngroups_max' "$WORK/view"
  expect 'switched with the code: 1 byte of pipe_max_size' "$WORK/view"
  boot_vm --file "$WORK/ksplice-limits.tar.gz" <<'EOS' | tee "$WORK/transcript"
is() { [ "$1" = "$2" ] || { echo "FAILED: expected '$1', found '$2'"; exit 1; }; }
limits() { echo $(cat /proc/sys/kernel/ngroups_max /proc/sys/fs/pipe-max-size); }
refused() { # WORDS COMMAND...
  words=$1
  shift
  "$@" --raw-errors 2>/tmp/err && exit 1
  cat /tmp/err
  is no_match "$(head -n 1 /tmp/err)"
  grep -q "$words" /tmp/err || exit 1
}
is '65536 1048576' "$(limits)"
echo 2097152 >/proc/sys/fs/pipe-max-size
refused 'the value pipe_max_size.* is not what it was, expected 0x.*100000, found 0x.*200000' ksplice-apply ksplice-limits.tar.gz
is '65536 2097152' "$(limits)"
echo 1048576 >/proc/sys/fs/pipe-max-size
ksplice-apply --check ksplice-limits.tar.gz || exit 1
is '65536 1048576' "$(limits)"
for i in 1 2; do
  ksplice-apply ksplice-limits.tar.gz || exit 1
  is '65534 524288' "$(limits)"
  echo 2097152 >/proc/sys/fs/pipe-max-size
  refused 'the value pipe_max_size' ksplice-undo limits
  is '65534 2097152' "$(limits)"
  echo 524288 >/proc/sys/fs/pipe-max-size
  ksplice-undo limits || exit 1
  is '65536 1048576' "$(limits)"
done
grep ksplice /proc/modules && exit 1
echo "== done"
EOS
  [ "$(tail -n 1 "$WORK/transcript")" = "== done" ] || fail "the transcript of $VERSION is not whole"
}
for series in ${SERIES:-$own_series}; do try --series "$series"; done
