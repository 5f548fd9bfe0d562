#!/usr/bin/env bash
# From one source to a later one: each file has a verdict, what can be live is one update, and what was tried is
# not tried again.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
get_kernel
shopt -s dotglob
mkdir "$WORK/out" "$WORK/later"
ln -s "$SOURCE"/* "$WORK/later/"

# open_folder FOLDER: it becomes one of the later source's own.
open_folder() {
  rm "$WORK/later/$1"
  mkdir "$WORK/later/$1"
  ln -s "$SOURCE/$1"/* "$WORK/later/$1/"
}

# later FILE SED_SCRIPT: the file is another one in the later source.
later() {
  sed -e "$2" "$SOURCE/$1" >"$WORK/file"
  cmp -s "$SOURCE/$1" "$WORK/file" && fail "the edit '$2' does not change $1"
  rm "$WORK/later/$1"
  mv "$WORK/file" "$WORK/later/$1"
}
for folder in fs fs/proc net net/core arch arch/arm arch/arm/kernel Documentation; do open_folder "$folder"; done

# A fix; start code beside a fix; a layout; another architecture; two files of which one needs the other; and what is
# not asked for.
later fs/proc/version.c '/^static int version_proc_show/,/^}/s/return 0;/seq_puts(m, "patched\\n"); return 0;/'
later fs/aio.c '/^static int __init aio_setup/,/^}/s/^\treturn 0;/\tpr_info("set up\\n");\n&/
  /^SYSCALL_DEFINE2(io_setup/,/^}/s/-EINVAL/-EBADF/'
later fs/eventfd.c 's/^\tunsigned int flags;$/&\n\tunsigned int polls;/
  s/^\tpoll_wait(file, &ctx->wqh, wait);/&\n\tctx->polls++;/'
later arch/arm/kernel/time.c '1i /* arm */'
later fs/utimes.c '$ a int released_limit(int limit);\nint released_limit(int limit)\n{\n\treturn limit + 1;\n}'
later fs/statfs.c '/^static int do_statfs_native/,/^}/{s/^{/{\n\textern int released_limit(int limit);/;s/return 0;/return released_limit(-1);/}'
later net/core/gro_cells.c '/^int gro_cells_receive/,/^}/s/drop:/& pr_info_once("dropped\\n");/'
echo 'data' >"$WORK/later/Documentation/new.rst"

release() { # [OPTIONS]
  "$create" --config="$CONFIG" --to-source="$WORK/later" --within=fs --within=arch/arm --output="$WORK/out" --id=later \
    --json "$@" "$SOURCE" >"$WORK/json" 2>"$WORK/err" || fail "$(cat "$WORK/err" "$WORK/json")"
}
release
python3 - "$WORK/json" >"$WORK/lines" <<'END'
import json, sys
report = json.load(open(sys.argv[1]))
for part in report["parts"]:
    print(part["path"], part["verdict"], part["code"] or "-", *part["options"], *part["with"], *part["replaced"])
print("outside", report["outside"], "cves", len(report["cves"]))
assert report["tarball"].endswith("ksplice-later.tar.gz"), report
assert 0 < report["peak_kib"] < 2 << 20, report
END
expect '^fs/proc/version\.c live - version_proc_show$' "$WORK/lines"
expect '^fs/aio\.c decision init_changed --leave-out-init ' "$WORK/lines"
expect '^fs/eventfd\.c reboot type_changed$' "$WORK/lines"
expect '^fs/statfs\.c live - fs/utimes\.c ' "$WORK/lines"
expect '^arch/arm/kernel/time\.c not_here -$' "$WORK/lines"
expect '^outside 2 cves 0$' "$WORK/lines"
expect '^needs a decision:$' "$WORK/out/ksplice-later-report.txt"
expect '^  fs/proc/version\.c: replaces version_proc_show$' "$WORK/out/ksplice-later-report.txt"
expect '<td>fs/eventfd\.c</td><td>needs a reboot</td>' "$WORK/out/ksplice-later-report.html"
"$view" --file="$WORK/out/ksplice-later.tar.gz" >"$WORK/view"
expect 'changed version_proc_show' "$WORK/view"
expect_no 'aio|eventfd' "$WORK/view"
cp "$WORK/json" "$WORK/first"

# What was tried is known: its time is that of the first run.
release
python3 - "$WORK/first" "$WORK/json" <<'END'
import json, sys
first, second = (json.load(open(path))["parts"] for path in sys.argv[1:])
assert first == second, (first, second)
END

# One update per subsystem, of which two are there and each holds its own.
release --split --within=net
python3 - "$WORK/json" >"$WORK/lines" <<'END'
import json, sys
report = json.load(open(sys.argv[1]))
assert report["tarball"] == "", report
for update in report["updates"]:
    print(update["id"], update["failure"] or "made", *[p["path"] for p in report["parts"] if p["update"] == update["id"]])
END
expect '^later_fs made fs/statfs\.c fs/utimes\.c$' "$WORK/lines"
expect '^later_fs_proc made fs/proc/version\.c$' "$WORK/lines"
expect '^later_net_core made net/core/gro_cells\.c$' "$WORK/lines"
expect '^update later_net_core has 1 part: .*/ksplice-later_net_core\.tar\.gz$' "$WORK/out/ksplice-later-report.txt"
"$view" --file="$WORK/out/ksplice-later_net_core.tar.gz" >"$WORK/view"
expect 'changed gro_cells_receive' "$WORK/view"
expect_no 'version_proc_show|released_limit' "$WORK/view"

for words in "--patch=x --to-source=y" "--split --patch=x" "--within=fs --patch=x" "--to-source=y --keep-going" \
  "--to-source=y --config=a --config=b" "--to-source=y --most-units=0"; do
  # shellcheck disable=SC2086
  exits 2 "$create" $words "$SOURCE" 2>"$WORK/err"
done
exits 2 "$create" --to-version=6.1/../x --config="$CONFIG" "$SOURCE" 2>"$WORK/err"
