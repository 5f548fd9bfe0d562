#!/usr/bin/env bash
# An out-of-tree module: what its make does not see or record is seen all the same. A header that the patch
# takes away, or puts before another, changes every unit that would read it; what a rule of the module's
# own makes, of which kbuild records nothing, may not differ.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
get_kernel
mkdir -p "$WORK/src/pair/common"
cd "$WORK/src/pair"
cat >Kbuild <<'EOF'
obj-m := pair.o
pair-y := main.o other.o
ccflags-y := -I$(src)/common
EOF
echo '#define LIMIT 5' >limit.h
echo '#define LIMIT 1' >common/limit.h
cat >main.c <<'EOF'
#include <linux/module.h>
#include "limit.h"

int other(int x);
static int limit_set(const char *value, const struct kernel_param *param)
{
	pr_info("%s of %d, %d\n", value, LIMIT, other(1));
	return 0;
}
module_param_call(limit, limit_set, NULL, NULL, 0200);
MODULE_LICENSE("GPL");
EOF
cat >other.c <<'EOF'
int other(int x);
int other(int x)
{
	return x + 40;
}
EOF
cd "$WORK"
build_module "$WORK/src/pair"

# patch_pair COMMAND: what it makes of a copy of the module's sources, as a patch.
patch_pair() {
  rm -rf "$WORK/a" "$WORK/b"
  cp -r "$WORK/src/pair" "$WORK/a"
  cp -r "$WORK/src/pair" "$WORK/b"
  (cd "$WORK/b" && eval "$1")
  (cd "$WORK" && diff -uprN a b >"$WORK/patch") || true
}
# replaces FUNCTIONS: the update replaces exactly these.
replaces() {
  rm -f "$WORK/ksplice-pair.tar.gz"
  "$create" --config="$CONFIG" --module-source="$WORK/pair" --patch="$WORK/patch" --id=pair --output="$WORK" \
    "$SOURCE" >"$WORK/err" 2>&1 || fail "$(cat "$WORK/err")"
  expect "^replaces .* of pair: $1\$" "$WORK/err"
}

patch_pair 'rm limit.h; sed -i s/40/50/ other.c'
replaces 'limit_set, other'
rm -r "$WORK/pair" "$WORK/src/pair/limit.h"
build_module "$WORK/src/pair"
patch_pair 'echo "#define LIMIT 5" >limit.h; sed -i s/40/50/ other.c'
replaces 'limit_set, other'

# The same with the patch, and not. A file that only another one includes is no unit either.
cd "$WORK/src/pair"
cat >>Kbuild <<'EOF'
pair-y += helper.o
quiet_cmd_fast = CC [fast] $@
      cmd_fast = $(CC) $(c_flags) -O3 -c -o $@ $<
$(obj)/helper.o: $(src)/helper.c FORCE
	$(call if_changed,fast)
EOF
sed 's/other/helper/' other.c >helper.c
echo 'int part(int x); int part(int x) { return x + 1; }' >part.c
echo '#include "part.c"' >>other.c
cd "$WORK"
rm -r "$WORK/pair"
build_module "$WORK/src/pair"
patch_pair 'sed -i s/40/50/ other.c; sed -i "s/.*/& /" helper.c; sed -i "s/x + 1/x + 2/" part.c'
replaces 'other, part'
expect 'nothing from helper\.c; helper\.o, which rules of .* own make, is the same' "$WORK/err"
expect_no '(note|from) .*part\.c' "$WORK/err"
patch_pair 'sed -i s/40/50/ other.c helper.c'
refused_create 3 unsupported_file --module-source="$WORK/pair" --patch="$WORK/patch" "$SOURCE"
expect 'helper\.o differs with the patch: it is a part of module pair' "$WORK/err"
patch_pair 'sed -i s/40/50/ other.c; sed -i "/^pair-y += helper/d" Kbuild'
refused_create 3 unsupported_file --module-source="$WORK/pair" --patch="$WORK/patch" "$SOURCE"
expect 'helper\.o is gone with the patch' "$WORK/err"

# A unit that is gone: its state would be lost, and nobody may go on using what it was for others.
cd "$WORK/src/pair"
cat >state.c <<'EOF'
int hit(void);
static int count;
int hit(void)
{
	return ++count;
}
EOF
echo 'pair-y += state.o' >>Kbuild
sed -i 's/, other(1)/, other(hit())/; s/^int other.*/& int hit(void);/' main.c
cd "$WORK"
rm -r "$WORK/pair"
build_module "$WORK/src/pair"
patch_pair 'sed -i "s/ state/ again/" Kbuild; sed "s/++count/count += 1/; s/hit/beat/" state.c >again.c; rm state.c; sed -i s/hit/beat/ main.c'
refused_create 3 state_lost --module-source="$WORK/pair" --patch="$WORK/patch" "$SOURCE"
expect 'count was in state\.o and is in again\.o now' "$WORK/err"
patch_pair 'sed -i "/ state/d" Kbuild; sed -i "s/other(hit())/other(2)/" main.c'
replaces limit_set
expect 'count is not used any more' "$WORK/err"
