#!/usr/bin/env bash
# Every section of the kernels that are here is in the table of section_rules.cc: of the images, of all modules or,
# where they are packed, of some. A unit of our own has one more.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
cd "$WORK"
echo 'int f __attribute__((section("quirks"))) = 1;' >unit.c
cc -c unit.c
exits 3 "$objdiff" sections unit.o >out
expect '^quirks +not known, in unit.o$' out
expect '^\.data +compared and carried' out
for series in $all_series; do get_kernel --series "$series"; done
for config in "$(realpath "$SOURCE/../..")"/*/*/config; do
  find -L "$config/modules" -name '*.ko' -o -name '*.ko.xz' | sort >modules
  [ -s modules ] || fail "no modules in $config"
  # Packed ones take a tenth of a second each.
  if grep -q '\.xz$' modules; then awk 'NR % 40 == 1' modules >some && mv some modules; fi
  exits 0 xargs "$objdiff" sections "$config/vmlinuz" <modules >out
  expect '^__mcount_loc ' out
done
