#!/usr/bin/env bash
# gcc 14 (cpp-14 14.2.0-19 of Debian 13) aligns loops that fit into a cache line to 32 or 64 bytes at -O2, and no option for
# alignment turns that off: -falign-loops=1, -fno-align-loops and -fno-align-jumps take away all other alignment inside
# functions and leave this one; -Os does. gcc 12 writes no such directive. As the filling depends on where the function
# starts, the same source gives a function of other bytes and another size when -ffunction-sections moves its start: two
# builds of one unit, or a unit and the kernel that holds it, cannot be compared byte by byte.
#
# Seen: -O2: ".p2align 5" is there, also with -falign-loops=1 and with both -fno- options; -Os: none.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$here/packages" trixie "$work" cpp-14-x86-64-linux-gnu=14.2.0-19 libc6=2.41-12+deb13u5 libgmp10=2:6.3.0+dfsg-3 \
  libmpc3=1.3.1-1+b3 libmpfr6=4.2.2-1 libisl23=0.27-1 libzstd1=1.5.7+dfsg-1 zlib1g=1:1.3.dfsg+really1.3.1-1+deb13u1
cat >"$work/sum.c" <<'C'
unsigned sum(const unsigned char *p, unsigned n)
{
	unsigned s = 0;

	while (n--)
		s = s * 31 + *p++;
	return s;
}
C
libraries=$work/usr/lib/x86_64-linux-gnu
for options in -O2 "-O2 -falign-loops=1" "-O2 -fno-align-loops -fno-align-jumps" -Os; do
  # shellcheck disable=SC2086  # several words
  "$libraries/ld-linux-x86-64.so.2" --library-path "$libraries" "$work/usr/libexec/gcc/x86_64-linux-gnu/14/cc1" \
    -quiet $options "$work/sum.c" -o "$work/sum.s"
  echo "$options: $(grep -cE '\.p2align [56]$' "$work/sum.s" || true)"
done | tee "$work/seen"
diff "$work/seen" - <<'SEEN'
-O2: 1
-O2 -falign-loops=1: 1
-O2 -fno-align-loops -fno-align-jumps: 1
-Os: 0
SEEN
