# For the tests of the core: source it after ../lib.sh and get_kernel.
# shellcheck shell=bash

# build_core: makes ksplice.ko for a kernel booted with nokaslr, the modules of tests/vm/core, and the
# programs storm, sleepers, forge; all in $WORK/core.
build_core() {
  local root common headers source=$SOURCE_TREE/tests/vm/core name
  root=$(dirname "$(readlink -f "$CONFIG/build")")
  common=$(echo "$root"/linux-headers-*-common)
  headers=$(readlink -f "$CONFIG/build")
  rm -rf "$WORK/core" "$WORK/update"
  mkdir -p "$WORK/core" "$WORK/update"
  cp "$SOURCE_TREE"/kmod-core/{*.c,*.h,Kbuild} "$WORK/core"
  cp "$source"/{*.c,*.h,Kbuild} "$SOURCE_TREE"/kmod-core/*.h "$WORK/update"
  boot_vm --append nokaslr --timeout 600 --console "$WORK/console" <<<"cat /proc/kallsyms" >"$WORK/kallsyms"
  while read -r name; do
    awk -v name="$name" '$3 == name { print ".globl " name; print ".set " name ", 0x" $1; exit }' "$WORK/kallsyms"
  done <"$SOURCE_TREE/kmod-core/core_symbols.txt" >"$WORK/core/symbols.s"
  echo '.section .note.GNU-stack,"",@progbits' >>"$WORK/core/symbols.s"
  as "$WORK/core/symbols.s" -o "$WORK/core/core_symbols.o"
  printf 'savedcmd_%s := true\ncmd_%s := true\n' "$WORK/core/core_symbols.o" "$WORK/core/core_symbols.o" \
    >"$WORK/core/.core_symbols.o.cmd"
  mv "$WORK/core/update.c" "$WORK/stub.c"
  cp "$WORK/update/target.c" "$WORK/update/target2.c"
  while read -r name file; do
    cp "$WORK/stub.c" "$WORK/update/$name-stub.c"
    cp "$source/$file.c" "$WORK/update/$name-update.c"
  done <<'LIST'
one cmdline
two cmdline
busy cmdline
writer cmdline
load_vmlinux syscalls_update
load_versions versions_update
multi_vmlinux cmdline
multi_target module
multi_target2 module
many many_update
LIST
  make -s -C "$common" O="$headers" M="$WORK/core" delay-objtool=y modules >"$WORK/make.log" 2>&1 ||
    fail "the core does not build: $(cat "$WORK/make.log")"
  make -s -C "$common" O="$headers" M="$WORK/update" KBUILD_EXTRA_SYMBOLS="$WORK/core/Module.symvers" modules \
    >"$WORK/make.log" 2>&1 || fail "the test modules do not build: $(cat "$WORK/make.log")"
  for name in storm sleepers forge; do
    gcc -O2 -static -pthread "$source/$name.c" -o "$WORK/core/$name"
  done
}

# boot_core [options of tests/vm/boot] <SCRIPT: boots with all of that in /root; the script starts
# with the functions of tests/vm/core/guest.sh.
boot_core() {
  local file files=()
  cat "$SOURCE_TREE/tests/vm/core/guest.sh" - >"$WORK/core-script"
  for file in "$WORK"/core/{ksplice.ko,storm,sleepers,forge} "$WORK"/update/*.ko; do files+=(--file "$file"); done
  boot_vm --append nokaslr "${files[@]}" "$@" <"$WORK/core-script"
}
