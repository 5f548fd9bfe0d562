#!/usr/bin/env bash
# What was applied before a boot is brought back by ksplice-boot, in order; but not what the host went down with, while
# it was applied or shortly after that. Four boots of one guest, which restarts as a crash does.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
get_kernel --series "${SERIES:-$own_series}"

# make_update ID FILE SED_SCRIPT [options of create]: $WORK/ID.tar.gz, of the source with the patches so far.
make_update() {
  make_patch "$2" "$3"
  "$create" --patch="$WORK/patch" --config="$CONFIG" --id="$1" --output="$WORK" -q "${@:4}" "$SOURCE"
  mv "$WORK/ksplice-$1.tar.gz" "$WORK/$1.tar.gz"
}
make_update bad fs/proc/cmdline.c '/^#include <linux\/seq_file.h>/i #include <linux/reboot.h>\n#include <ksplice-patch.h>
s/seq_puts(m, saved_command_line);/& seq_putc(m, 32);/
/^static int __init /i static int go_down(void)\n{\n\temergency_restart();\n\treturn 0;\n}\nksplice_pre_apply(go_down);\n'
version=fs/proc/version.c
make_update zlow $version 's/utsname()->sysname,/"Lower",/'
link_tree "$SOURCE" "$WORK/lower"
rm "$WORK/lower/$version" && cp "$WORK/new-file" "$WORK/lower/$version"
SOURCE=$WORK/lower
make_update atop $version 's/"Lower",/"Upper",/' --on-top-of="$WORK/zlow.tar.gz"

boot_vm --file "$WORK/bad.tar.gz" --file "$WORK/zlow.tar.gz" --file "$WORK/atop.tar.gz" --module virtio_blk \
  --module virtio_pci --disk 64 --reboots --console "$WORK/console" <"$SOURCE_TREE/tests/vm/boot_again.guest" |
  tee "$WORK/transcript"
[ "$(tail -n 1 "$WORK/transcript")" = "== done" ] || fail "the transcript is not whole"
