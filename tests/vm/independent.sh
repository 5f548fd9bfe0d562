#!/usr/bin/env bash
# Two updates that know nothing of each other, of one unit: one changes a function, the other a caller, for which the
# compiler used what it had seen the first not do. Together they would be wrong: whichever comes second is refused.
# Made on top of the first, the second is right, and stands on it.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

try() { # --series S
  get_kernel "$@"
  build_module "$SOURCE_TREE/tests/data/ledger"
  make_update() { # ID PATCH [option]...
    "$create" --module-source="$WORK/ledger" --patch="$WORK/ledger/$2.patch" --config="$CONFIG" --id="$1" --output="$WORK" \
      -q "${@:3}" "$SOURCE"
  }
  make_update note note
  make_update show show
  patch -s -d "$WORK/ledger" -p1 <"$WORK/ledger/note.patch"
  make_update above show --on-top-of="$WORK/ksplice-note.tar.gz"
  boot_vm --file "$WORK/ledger/ledger.ko" --file "$WORK/ksplice-note.tar.gz" --file "$WORK/ksplice-show.tar.gz" \
    --file "$WORK/ksplice-above.tar.gz" <<'EOS' | tee "$WORK/transcript"
is() { [ "$1" = "$2" ] || { echo "FAILED: expected '$1', found '$2'"; exit 1; }; }
refused() { # CODE COMMAND...
  code=$1
  shift
  "$@" --raw-errors 2>/tmp/err && { echo "FAILED: accepted: $*; the file says $(cat /proc/ledger)"; exit 1; }
  cat /tmp/err
  is "$code" "$(head -n 1 /tmp/err)"
}
insmod ledger.ko || exit 1
is 1 "$(cat /proc/ledger)"
ksplice-apply ksplice-note.tar.gz || exit 1
is 2 "$(cat /proc/ledger)"
refused conflict ksplice-apply --check ksplice-show.tar.gz
refused conflict ksplice-apply ksplice-show.tar.gz
is 3 "$(cat /proc/ledger)"
ksplice-apply ksplice-above.tar.gz || exit 1
is '3 and 4' "$(cat /proc/ledger)"
refused module_busy ksplice-undo note
is '4 and 5' "$(cat /proc/ledger)"
ksplice-undo above || exit 1
ksplice-undo note || exit 1
is 5 "$(cat /proc/ledger)"
refused needs_update ksplice-apply ksplice-above.tar.gz
ksplice-apply ksplice-show.tar.gz || exit 1
is '5 and 5' "$(cat /proc/ledger)"
refused conflict ksplice-apply ksplice-note.tar.gz
is '5 and 5' "$(cat /proc/ledger)"
ksplice-undo show || exit 1
echo "== done"
EOS
  [ "$(tail -n 1 "$WORK/transcript")" = "== done" ] || fail "the transcript of $VERSION is not whole"
}
for series in ${SERIES:-$own_series}; do try --series "$series"; done
