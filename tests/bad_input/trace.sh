#!/usr/bin/env bash
# ksplice-trace with words that make no sense, and without the rights. It touches no kernel here; what needs one is
# in vm/trace.sh.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
exits 2 "$trace"
exits 2 "$trace" --duration=0 vfs_read
exits 2 "$trace" --duration=soon vfs_read
exits 2 "$trace" --top=0 vfs_read
exits 2 "$trace" --compare vfs_read
exits 2 "$trace" --no-such-option vfs_read
exits 2 "$trace" --svg
exits 2 "$trace" --tripwire
exits 2 "$trace" --duration=1 --compare --reach vfs_read
exits 2 "$trace" --duration=1 --compare --tripwire='count > 1' vfs_read
exits 0 "$trace" --help
as_user=()
[ "$(id -u)" -ne 0 ] || as_user=(setpriv --reuid=65534 --regid=65534 --clear-groups)
chmod 755 "$WORK"
cp "$trace" "$WORK/ksplice-trace"
refused 1 not_permitted "${as_user[@]}" "$WORK/ksplice-trace" vfs_read
expect '^hint: run it as root$' "$WORK/err"
status=0
"${as_user[@]}" "$WORK/ksplice-trace" --json vfs_read >"$WORK/out" || status=$?
[ "$status" -eq 1 ] || fail "status $status"
expect '"code": "not_permitted"' "$WORK/out"
