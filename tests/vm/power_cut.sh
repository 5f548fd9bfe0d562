#!/usr/bin/env bash
# The power goes at random moments while updates are applied and undone: after each boot the tools work, tell
# the truth, and the copy of the tarball is whole or not there. CUTS is how often.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
cuts=${CUTS:-30}
get_kernel --series "${SERIES:-$own_series}"
"$create" --patch="$SOURCE_TREE/examples/tcp-drop-6688/tcp-drop-6688.patch" --config="$CONFIG" --id=power \
  --output="$WORK" -q "$SOURCE"
{
  echo "TARBALL=ksplice-power.tar.gz ID=power CUTS=$cuts"
  cat "$SOURCE_TREE/tests/vm/power_cut.guest"
} | boot_vm --file "$WORK/ksplice-power.tar.gz" --module virtio_blk --module virtio_pci --disk 64 --reboots \
  --timeout $((120 + cuts * 60)) --console "$WORK/console" | tee "$WORK/transcript"
[ "$(tail -n 1 "$WORK/transcript")" = "== done" ] || fail "the transcript is not whole"
