#!/usr/bin/env bash
# One patch to several files of several targets, a header, and much that an update ignores: what is
# compiled, what drops out, what is left out on demand, and what the notes say.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
get_kernel
add() {
  make_patch "$@"
  cat "$WORK/patch" >>"$WORK/all"
}
add fs/proc/version.c '/^static int version_proc_show/,/^}/s/return 0;/seq_puts(m, "patched\\n"); return 0;/'
add fs/proc/loadavg.c '/^static int loadavg_proc_show/,/^}/s/return 0;/seq_puts(m, "patched\\n"); return 0;/'
add kernel/panic.c '/^void __weak .*nmi_panic_self_stop/,/^}/s/panic_smp_self_stop();/pr_emerg("stop"); &/'
add drivers/cxl/core/region.c '/^static ssize_t commit_store/,/^}/s/return len;/pr_info("committed\\n"); return len;/'
add drivers/net/nlmon.c '/^static int nlmon_close/,/^}/s/return netlink/pr_info("closed\\n"); return netlink/'
add drivers/net/dummy.c '/^static netdev_tx_t dummy_xmit/,/^}/s/return NETDEV/pr_info("sent\\n"); return NETDEV/'
# shellcheck disable=SC2016  # sed's $
add fs/isofs/zisofs.h '$a #define NOT_USED 1'
add include/xen/interface/elfnote.h '1i /* comment */'
add fs/Kconfig '1i # comment'
add fs/proc/Makefile '1i # comment'
add arch/arm/mm/fault.c '1i int other_architecture;'
add tools/testing/selftests/kselftest.h '1i /* comment */'
add sound/core/pcm.c '1i int not_in_the_cloud;'
count=0
while read -r path && [ $((count += 1)) -le 290 ]; do
  add "${path#"$SOURCE/"}" '1i comment'
done < <(find "$SOURCE/Documentation/admin-guide" "$SOURCE/Documentation/driver-api" -name '*.rst' -size +0 | sort)
cat >>"$WORK/all" <<'PATCH'
diff --git a/Documentation/index.rst b/Documentation/start.rst
similarity index 100%
rename from Documentation/index.rst
rename to Documentation/start.rst
diff --git a/scripts/mksysmap b/scripts/mksysmap
old mode 100755
new mode 100644
PATCH

"$create" --config="$CONFIG" --id=all --output="$WORK" --patch="$WORK/all" --json -v \
  --only-targets=vmlinux --only-targets=n%n --only-targets=isofs "$SOURCE" >"$WORK/json" 2>"$WORK/err" || fail "$(cat "$WORK/err" "$WORK/json")"
grep '^\[' "$WORK/err"
expect '30[0-9] files changed' "$WORK/err"
expect 'touches: [34][0-9] units' "$WORK/err" # two for each header, one pair of them in assembly, and those of made sources
expect '5 of 7 units differ' "$WORK/err"
for note in 'fs/Kconfig is ignored' 'fs/proc/Makefile' 'arch/arm/mm/fault.c is ignored' \
  'kselftest.h is ignored' 'sound/core/pcm.c is not part of this configuration' \
  'index.rst is ignored: documentation' 'nmi_panic_self_stop of .* is not in this kernel' 'dummy.o of dummy is left out'; do
  expect "note: .*$note" "$WORK/err"
done
python3 - "$WORK/json" <<'PYTHON'
import json
import sys

made = json.load(open(sys.argv[1], encoding="utf-8"))
assert made["replaced"] == ["nlmon_close", "commit_store", "loadavg_proc_show", "version_proc_show"], made["replaced"]
assert sorted(made["changed"]) == ["drivers/cxl/core/region.o", "drivers/net/nlmon.o", "fs/proc/loadavg.o",
                                   "fs/proc/version.o"], made["changed"]
PYTHON
tar -tzf "$WORK/ksplice-all.tar.gz" >"$WORK/list"
expect '/nlmon\.ko$' "$WORK/list"
expect_no '/dummy\.ko$' "$WORK/list"
# The line of the patch that a function is replaced for.
line=$(grep -n 'seq_puts(m, "patched' <(sed '/^static int version_proc_show/,/^}/s/return 0;/seq_puts(m, "patched")/' "$SOURCE/fs/proc/version.c"))
tar -xOzf "$WORK/ksplice-all.tar.gz" --wildcards '*/manifest.json' >"$WORK/manifest"
expect "\"fs/proc/version\.c:${line%%:*}\"" "$WORK/manifest"
# The exports that region.c refers to are in a namespace.
tar -xOzf "$WORK/ksplice-all.tar.gz" --wildcards '*/vmlinux.ko' >"$WORK/vmlinux.ko"
modinfo -F import_ns "$WORK/vmlinux.ko" >"$WORK/spaces"
expect '^CXL$' "$WORK/spaces"
