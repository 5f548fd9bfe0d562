#!/usr/bin/env bash
# A patch that adds a .c file to vmlinux and one to an existing module; and with --build-modules the
# module as a whole, which a host loads instead: then the update leaves it out. And one that lets a function stay in
# memory that was freed after boot.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
get_kernel "$@"

# add_file FOLDER FILE LIST FUNCTION CALLER SED: makes FILE with FUNCTION, which CALLER calls.
add_file() {
  local new=$1/$2.c
  printf '%s\n' '#include <linux/seq_file.h>' '#include <linux/jiffies.h>' '' 'static unsigned int calls;' '' \
    "void $4(struct seq_file *m)" '{' \
    "	seq_printf(m, \" $2 %s %u\\n\", time_after(jiffies, INITIAL_JIFFIES) ? \"late\" : \"early\", ++calls);" '}' \
    >"$WORK/added"
  diff -u --label /dev/null --label "b/$new" /dev/null "$WORK/added" >>"$WORK/all.patch" || true
  make_patch "$1/Makefile" "\$a$3 += $2.o" && cat "$WORK/patch" >>"$WORK/all.patch"
  make_patch "$1/$5" "$6" && cat "$WORK/patch" >>"$WORK/all.patch"
}
add_file fs/proc banner proc-y proc_banner cmdline.c \
  "/^static int cmdline_proc_show/i void proc_banner(struct seq_file *m);
   s/seq_putc(m, '.n');/proc_banner(m);/"
add_file net/8021q notice 8021q-y vlan_notice vlanproc.c \
  '/^static int vlan_seq_show(.*)$/i void vlan_notice(struct seq_file *m);
   s/if (v == SEQ_START_TOKEN) {/& vlan_notice(seq);/'
"$create" --patch="$WORK/all.patch" --config="$CONFIG" --id=added --build-modules --output="$WORK" "$SOURCE"
"$view" --file="$WORK/ksplice-added.tar.gz" >"$WORK/out"
expect '^ +target 8021q, whole module too$' "$WORK/out"
expect '^ +new vlan_notice \(net/8021q/notice\.o\)' "$WORK/out"
expect '^ +new proc_banner \(fs/proc/banner\.o\)' "$WORK/out"

make_patch kernel/delayacct.c 's/^static int __init delayacct_setup_enable/int delayacct_setup_enable/'
cp "$WORK/patch" "$WORK/all.patch"
make_patch fs/proc/cmdline.c '/^static int cmdline_proc_show/i int delayacct_setup_enable(char *);
  s/seq_putc(m, .*);/seq_puts(m, delayacct_setup_enable(NULL) ? " kept\\n" : " lost\\n");/'
cat "$WORK/patch" >>"$WORK/all.patch"
"$create" -q --patch="$WORK/all.patch" --config="$CONFIG" --id=kept --output="$WORK" "$SOURCE"

boot_vm --module 8021q --file "$WORK/ksplice-added.tar.gz" --file "$WORK/ksplice-kept.tar.gz" <<'EOS' | tee "$WORK/transcript"
check() { "$@" || { echo "failed: $*"; ksplice-view --id=added; dmesg | tail -n 20; exit 1; }; }
check modprobe 8021q
check ksplice-apply ksplice-added.tar.gz
check grep -E ' banner late 1$' /proc/cmdline
check grep -E '^ notice late 1$' /proc/net/vlan/config
check grep -E '^ notice late 2$' /proc/net/vlan/config
check ksplice-undo added
grep banner /proc/cmdline && exit 1
grep notice /proc/net/vlan/config && exit 1
check rmmod 8021q

check ksplice-apply --extract-modules=/tmp/whole ksplice-added.tar.gz
check insmod /tmp/whole/8021q.ko
check grep -E '^ notice late 1$' /proc/net/vlan/config
ksplice-apply ksplice-added.tar.gz >/tmp/out 2>&1 || { cat /tmp/out; exit 1; }
check grep -x 'Left out 8021q: it was loaded with the patch in it' /tmp/out
check grep -x 'Done!' /tmp/out
check grep -E ' banner late 1$' /proc/cmdline
check grep -E '^ notice late 2$' /proc/net/vlan/config
ksplice-view | grep later && exit 1
check rmmod 8021q
check ksplice-undo added
grep banner /proc/cmdline && exit 1
check ksplice-apply ksplice-kept.tar.gz
check grep -E ' kept$' /proc/cmdline
check ksplice-undo kept
grep kept /proc/cmdline && exit 1
echo "== done"
EOS
[ "$(tail -n 1 "$WORK/transcript")" = "== done" ] || fail "the transcript is not whole"
