#!/usr/bin/env bash
# bpftrace, perf and trace-cmd, as the release has them, name a function that an update replaced: each sees every
# call once, as before. They and what they are linked with are 200 MiB, and are installed if this is root.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
packages=(bpftrace linux-perf trace-cmd)
if ! dpkg -s "${packages[@]}" >/dev/null 2>&1; then
  [ "$(id -u)" -eq 0 ] || skip "not installed: ${packages[*]}"
  apt-get install -y -q --no-install-recommends "${packages[@]}" >"$WORK/apt" 2>&1 || fail "$(cat "$WORK/apt")"
fi
programs=(--program /usr/bin/bpftrace --program /usr/bin/perf --program /usr/bin/trace-cmd)

try() { # --series S
  get_kernel "$@"
  make_patch fs/proc/version.c 's/seq_printf(m, linux_proc_banner,/seq_puts(m, "new "); &/'
  "$create" --patch="$WORK/patch" --config="$CONFIG" --id=probed --output="$WORK" -q "$SOURCE"
  boot_vm --single --memory 3072 --timeout 900 --file "$WORK/ksplice-probed.tar.gz" "${programs[@]}" \
    <<'EOS' | tee "$WORK/transcript"
is() { [ "$1" = "$2" ] || { echo "FAILED: expected '$1', found '$2'"; exit 1; }; }
calls() { for _ in 1 2 3; do cat /proc/version >/dev/null; done; }
# bpf PROBE: what bpftrace counts at it while three calls are made.
bpf() {
  rm -f /tmp/out
  bpftrace -e "BEGIN { printf(\"attached\\n\"); } $1 { @n = count(); }" >/tmp/out 2>/tmp/err &
  for _ in $(seq 1200); do
    grep -q attached /tmp/out && break
    [ -e /proc/$! ] || break
    usleep 100000
  done
  calls
  # It prints from BEGIN before it is ready to be interrupted: a signal that comes between is lost.
  pid=$!
  for _ in $(seq 30); do
    kill -INT $pid 2>/dev/null || break
    sleep 1
  done
  [ ! -e /proc/$pid ] || echo "bpftrace did not end"
  cat /tmp/err >&2
  grep -o '@n: .*' /tmp/out || cat /tmp/out
}
all() { # STEP
  echo "== $1"
  bpftrace -l 'kprobe:version_proc_sh*'
  is "@n: 3" "$(bpf kprobe:version_proc_show)"
  is "@n: 3" "$(bpf kretprobe:version_proc_show)"
  is "@n: 3" "$(bpf 'kprobe:version_proc_sh*')"
  is "@n: 3" "$(bpf kfunc:version_proc_show)"
  is "@n: 3" "$(bpf kretfunc:version_proc_show)"
  perf probe -q -a version_proc_show || exit 1
  perf stat -x, -o /tmp/stat -e probe:version_proc_show sh -c 'for i in 1 2 3; do cat /proc/version; done' || exit 1
  is 3 "$(sed -n 's/^\([0-9]*\),.*probe:version_proc_show.*/\1/p' /tmp/stat)"
  perf probe -q -d version_proc_show || exit 1
  trace-cmd start -p function -l version_proc_show || exit 1
  calls
  trace-cmd stop
  is 3 "$(trace-cmd show | grep -c 'version_proc_show <-')"
  trace-cmd reset
}
all before
ksplice-apply -q ksplice-probed.tar.gz || exit 1
grep '^new Linux' /proc/version || exit 1
all applied
grep '^new Linux' /proc/version || exit 1
ksplice-undo probed || exit 1
grep '^Linux' /proc/version || exit 1
all undone
echo "== done"
EOS
  [ "$(tail -n 1 "$WORK/transcript")" = "== done" ] || fail "the transcript of $VERSION is not whole"
}
for series in ${SERIES:-$own_series}; do try --series "$series"; done
