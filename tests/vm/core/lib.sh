# For the tests of the core: source it after ../lib.sh and get_kernel.
# shellcheck shell=bash

CORE_SOURCE=$SOURCE_TREE/tests/vm/core
CORE_CACHE=$CACHE/core-tests

# get_core_kernel SERIES: get_kernel, or with KSPLICE_DEBUG=1 the kernel that watches itself.
get_core_kernel() {
  if [ -z "${KSPLICE_DEBUG:-}" ]; then get_kernel --series "$1"; else
    eval "$("$SOURCE_TREE/tests/vm/debug-kernel" --series "$1")"
  fi
}

# The symbols of the kernel as it is without nokaslr's opposite; "ADDRESS TYPE NAME" lines.
core_symbols() {
  [ "$(wc -l <"$CONFIG/System.map")" -lt 100 ] || { cat "$CONFIG/System.map"; return; }
  if [ ! -e "$CORE_CACHE/$RELEASE.symbols" ]; then
    boot_vm --append nokaslr --timeout 900 --console "$WORK/console" <<<"cat /proc/kallsyms" >"$WORK/kallsyms" ||
      fail "no symbols of $RELEASE"
    mkdir -p "$CORE_CACHE"
    mv "$WORK/kallsyms" "$CORE_CACHE/$RELEASE.symbols"
  fi
  cat "$CORE_CACHE/$RELEASE.symbols"
}

# make_core FOLDER: builds everything in it.
make_core() {
  local common headers name file
  headers=$(readlink -f "$CONFIG/build")
  common=$(echo "$(dirname "$headers")"/linux-headers-*-common)
  [ -d "$common" ] || common=$SOURCE
  mkdir -p "$1/core" "$1/update"
  cp "$SOURCE_TREE"/kmod-core/{*.c,*.h,Kbuild} "$1/core"
  cp "$CORE_SOURCE"/{*.c,*.h,Kbuild} "$SOURCE_TREE"/kmod-core/*.h "$1/update"
  core_symbols >"$WORK/symbols"
  while read -r name; do
    awk -v name="$name" '$3 == name { print ".globl " name; print ".set " name ", 0x" $1; exit }' "$WORK/symbols"
  done <"$SOURCE_TREE/kmod-core/core_symbols.txt" >"$1/core/symbols.s"
  echo '.section .note.GNU-stack,"",@progbits' >>"$1/core/symbols.s"
  as "$1/core/symbols.s" -o "$1/core/core_symbols.o"
  printf 'savedcmd_%s := true\ncmd_%s := true\n' "$1/core/core_symbols.o" "$1/core/core_symbols.o" \
    >"$1/core/.core_symbols.o.cmd"
  cp "$1/update/target.c" "$1/update/target2.c"
  cp "$1/update/nmi.c" "$1/update/nmi_bare.c"
  while read -r name file; do
    mv "$1/core/update.c" "$1/update/stub.c" 2>/dev/null || true
    cp "$1/update/stub.c" "$1/update/$name-stub.c"
    cp "$CORE_SOURCE/$file.c" "$1/update/$name-update.c"
  done <<'LIST'
one cmdline
two cmdline
keeps cmdline
keeps_above cmdline
upper cmdline
busy cmdline
writer cmdline
worker cmdline
table table_update
above_table table_update
load_vmlinux syscalls_update
load_versions versions_update
multi_vmlinux cmdline
multi_target module
multi_target2 module
multi_user module
multi_keeps module
many many_update
nmi nmi_update
nmi_bare nmi_update
dead dead_update
security security_update
reshape cmdline
caller callee_update
same_unit cmdline
bare bare_update
bare_above bare_update
bare_loop bare_update
bare_nop bare_update
bare_noinstr bare_update
bare_branch bare_update
LIST
  kernel_make -s -C "$common" O="$headers" M="$1/core" delay-objtool=y CONFIG_DEBUG_INFO_BTF_MODULES= modules >"$WORK/make.log" 2>&1 ||
    fail "the core does not build: $(cat "$WORK/make.log")"
  kernel_make -s -C "$common" O="$headers" M="$1/update" KBUILD_EXTRA_SYMBOLS="$1/core/Module.symvers" \
    CONFIG_DEBUG_INFO_BTF_MODULES= modules \
    >"$WORK/make.log" 2>&1 || fail "the test modules do not build: $(cat "$WORK/make.log")"
  for name in storm sleepers forge company fail_nth; do
    gcc -O2 -static -pthread "$CORE_SOURCE/$name.c" -o "$1/core/$name"
  done
}

# build_core: makes ksplice.ko for a kernel booted with nokaslr, the modules of tests/vm/core, and its
# programs. They stay in CORE_CACHE, named by all that they are made of, for the next test; sets CORE.
build_core() {
  local key
  key=$(cat "$SOURCE_TREE"/kmod-core/* "$CORE_SOURCE"/*.[ch] "$CORE_SOURCE"/{Kbuild,lib.sh} "$CONFIG/.config" | sha256sum)
  CORE=$CORE_CACHE/$RELEASE-${key:0:16}
  mkdir -p "$CORE_CACHE"
  exec 8>"$CORE_CACHE/.$RELEASE.lock"
  flock 8
  if [ ! -e "$CORE/whole" ]; then
    rm -rf "${CORE_CACHE:?}/$RELEASE"-*
    make_core "$CORE"
    touch "$CORE/whole"
  fi
  exec 8>&-
}

# boot_core [options of tests/vm/boot] <SCRIPT: boots with all of that in /root; the script starts
# with the functions of tests/vm/core/guest.sh.
boot_core() {
  local file files=()
  cat "$CORE_SOURCE/guest.sh" - >"$WORK/core-script"
  for file in "$CORE"/core/{ksplice.ko,storm,sleepers,forge,company,fail_nth} "$CORE"/update/*.ko; do files+=(--file "$file"); done
  boot_vm ${KSPLICE_DEBUG:+--memory 2048} --append "nokaslr printk.devkmsg=on" "${files[@]}" "$@" <"$WORK/core-script"
}
