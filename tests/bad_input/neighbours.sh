#!/usr/bin/env bash
# What a patch makes global or exports for another unit or target, and which may not be led there: freed after boot,
# or of a module that nothing would keep.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
get_kernel
cp -as "$SOURCE" "$WORK/source"

# edit FILE SED_SCRIPT: adds to $WORK/patch.
edit() {
  sed -e "$2" "$WORK/source/$1" >"$WORK/new-file"
  diff -up --label "a/$1" --label "b/$1" "$WORK/source/$1" "$WORK/new-file" >>"$WORK/patch" && fail "'$2' changes nothing"
  true
}
calls() { edit drivers/net/dummy.c "s/^static void dummy_setup/int $1; &/;s/dev->max_mtu = 0;/& dev->mtu = $2;/"; }
export_it='EXPORT_SYMBOL_GPL(delayacct_setup_enable);'
make_global='s/^static int __init delayacct_setup_enable/int __init delayacct_setup_enable/'

edit kernel/delayacct.c "$make_global"
edit fs/proc/cmdline.c '/cmdline_proc_show/s/^static/int delayacct_setup_enable(char *);\n&/;s/(m, saved_command_line/&[delayacct_setup_enable(NULL)] ? "1" : "0"/'
refused_create 3 init_code --patch="$WORK/patch" "$WORK/source"
expect 'new code uses delayacct_setup_enable, which the running kernel freed' "$WORK/err"

: >"$WORK/patch"
edit kernel/delayacct.c "$make_global;s/^__setup(\"delayacct\".*/& $export_it/"
calls 'delayacct_setup_enable(char *)' 'delayacct_setup_enable(NULL)'
refused_create 3 failed_to_find --patch="$WORK/patch" "$WORK/source"
expect 'uses delayacct_setup_enable of vmlinux, which the patch exports: it was freed after boot' "$WORK/err"

# A function of an earlier update, exported by the next one for a module.
: >"$WORK/patch"
edit fs/proc/cmdline.c '/^static int cmdline_proc_show/s/^/int extra(int n); noinline int extra(int n) { OPTIMIZER_HIDE_VAR(n); return n + 3; }\n/;s/seq_putc(m, .*);/seq_putc(m, extra(7));/'
"$create" -q --config="$CONFIG" --patch="$WORK/patch" --id=lower --output="$WORK" "$WORK/source"
cp --remove-destination "$WORK/new-file" "$WORK/source/fs/proc/cmdline.c"
: >"$WORK/patch"
edit fs/proc/cmdline.c 's/return n + 3; }/& EXPORT_SYMBOL_GPL(extra);/'
calls 'extra(int)' 'extra(5)'
refused_create 3 failed_to_find --patch="$WORK/patch" --on-top-of="$WORK/ksplice-lower.tar.gz" "$WORK/source"
expect 'extra of vmlinux, which the patch exports: it came with the update module ksplice_lower_vmlinux' "$WORK/err"

# Hooks take back what their own target gave away, and not what a kept module goes on calling.
cp --remove-destination "$SOURCE/fs/proc/cmdline.c" "$WORK/source/fs/proc/cmdline.c"
: >"$WORK/patch"
# shellcheck disable=SC2016  # sed's, not the shell's
edit fs/proc/cmdline.c '1i #include <ksplice-patch.h>
s/seq_putc(m, .*);/seq_puts(m, "!\\n");/
$a int parts(void); int parts(void) { return 1234; } EXPORT_SYMBOL_GPL(parts); static void none(void) { } ksplice_post_reverse(none); ksplice_addresses_removed();'
edit drivers/net/dummy.c 's/^static void dummy_setup/int parts(void); static void late(struct timer_list *t) { pr_info("%d", parts()); } static struct timer_list timer;\n&/;s/dev->max_mtu = 0;/& timer_setup(\&timer, late, 0);/'
"$create" -q --config="$CONFIG" --patch="$WORK/patch" --id=user --output="$WORK" "$WORK/source"
tar -xOf "$WORK/ksplice-user.tar.gz" ksplice-user/manifest.json >"$WORK/manifest"
python3 -c 'import json,sys
targets = [t for k in json.load(open(sys.argv[1]))["kernels"] for t in k["targets"]]
assert len(targets) == 2 and all(t.get("kept") for t in targets), targets' "$WORK/manifest"
