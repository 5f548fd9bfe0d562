#!/usr/bin/env bash
# Hosts that cannot be patched: signed modules only, lockdown, no modules at all, hidden addresses, no function
# tracer. Each is said before or at the first step, and nothing is left.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
get_kernel --series "${SERIES:-$own_series}"
"$create" --patch="$SOURCE_TREE/examples/tcp-drop-6688/tcp-drop-6688.patch" --config="$CONFIG" --id=closed \
  --output="$WORK" -q "$SOURCE"
cat >"$WORK/common" <<'EOS'
refused() { # STATUS CODE WORDS: for ksplice-apply
  ksplice-apply --raw-errors ksplice-closed.tar.gz >/tmp/out 2>/tmp/err
  status=$?
  if [ $status != "$1" ] || [ "$(head -n 1 /tmp/err)" != "$2" ] || ! grep -q "$3" /tmp/err; then
    echo "status $status, expected $1, $2 and '$3':"
    cat /tmp/err
    exit 1
  fi
  echo "ok: $2: $3"
  ! grep ksplice /proc/modules && [ ! -e /var/lib/ksplice ] && return
  echo "something is left"
  exit 1
}
EOS
boot() { # APPEND: with the script on stdin
  cat "$WORK/common" - | boot_vm --append "$1" --file "$WORK/ksplice-closed.tar.gz" --console "$WORK/console" | tee "$WORK/transcript"
  [ "$(tail -n 1 "$WORK/transcript")" = "== done" ] || fail "the transcript is not whole"
}

boot module.sig_enforce=1 <<'EOS'
refused 1 signature_required "loads only signed modules (module.sig_enforce)"
echo "== done"
EOS

boot lockdown=integrity <<'EOS'
refused 1 not_permitted "Lockdown: ksplice-apply: unsigned module loading is restricted"
mount -t securityfs securityfs /sys/kernel/security
refused 1 signature_required "locked down (integrity)"
echo "== done"
EOS

boot "" <<'EOS'
echo 2 >/proc/sys/kernel/kptr_restrict
refused 1 failed_to_find "the kernel hides"
echo 1 >/proc/sys/kernel/kptr_restrict
echo 0 >/proc/sys/kernel/ftrace_enabled
refused 3 ftrace_off "kernel.ftrace_enabled"
echo 1 >/proc/sys/kernel/ftrace_enabled
ksplice-apply ksplice-closed.tar.gz && ksplice-undo closed || exit 1
echo 1 >/proc/sys/kernel/modules_disabled
refused 1 signature_required "switched off until the next boot"
echo "== done"
EOS
