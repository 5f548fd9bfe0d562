#!/usr/bin/env bash
# kill -9 and SIGTERM of ksplice-apply and ksplice-undo at random moments: afterwards the tools work and tell
# the truth, and nothing is left. CYCLES=100 gives the 200 kills of the full run.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
get_kernel --series "${SERIES:-$own_series}"
"$create" --patch="$SOURCE_TREE/examples/tcp-drop-6688/tcp-drop-6688.patch" --config="$CONFIG" --id=killed \
  --output="$WORK" -q "$SOURCE"
{
  echo "TARBALL=ksplice-killed.tar.gz ID=killed CYCLES=${CYCLES:-12}"
  cat "$SOURCE_TREE/tests/vm/killed_tools.guest"
} | boot_vm --file "$WORK/ksplice-killed.tar.gz" --timeout "$((120 + ${CYCLES:-12} * 15))" \
  --console "$WORK/console" | tee "$WORK/transcript"
[ "$(tail -n 1 "$WORK/transcript")" = "== done" ] || fail "the transcript is not whole"
