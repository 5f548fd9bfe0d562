#!/usr/bin/env bash
# Every section of the cached kernels' objects is in the table of section_rules.cc: of the image, of all modules of
# the first series, of some of the other, and of a unit of our own that has one more.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
cd "$WORK"
echo 'int f __attribute__((section("quirks"))) = 1;' >unit.c
cc -c unit.c
exits 3 "$objdiff" sections unit.o >out
expect '^quirks +not known, in unit.o$' out
expect '^\.data +compared and carried' out
for series in 6.1 6.12; do
  get_kernel --series "$series"
  find -L "$CONFIG/modules" -name '*.ko' -o -name '*.ko.xz' | sort >modules
  [ -s modules ] || fail "no modules of $series"
  # Packed ones take a tenth of a second each.
  if grep -q '\.xz$' modules; then awk 'NR % 40 == 1' modules >some && mv some modules; fi
  exits 0 xargs "$objdiff" sections "$CONFIG/vmlinuz" <modules >out
  expect '^__mcount_loc ' out
done
