#!/usr/bin/env bash
# Capstone 4.0.2 (libcapstone4 4.0.2-5 of Debian 12) takes UD1 (0f b9) for an instruction without operands. It has a
# ModRM byte, and what follows from that: GNU as writes it, objdump and the processors' manuals read it. Kernels from
# 6.19 on trap with "ud1 (%edx),%rdi" in every WARN, so a walk with this Capstone is out of step behind each WARN, and
# takes the rest of a function for other instructions without an error.
#
# Seen, for "ud1 (%edx),%rdi; push %rbp; xor %eax,%eax": "ud2b" of 4 bytes in place of 5, then "cmp" of 3 bytes, then a
# byte that is none.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$here/packages" bookworm "$work" libcapstone4=4.0.2-5 libcapstone-dev=4.0.2-5
cat >"$work/warn.s" <<'S'
	.globl warn, warn_end
	.section .rodata
warn:	ud1 (%edx), %rdi
	push %rbp
	xor %eax, %eax
warn_end:
S
cat >"$work/show.c" <<'C'
#include <capstone/capstone.h>
#include <stdio.h>

extern const uint8_t warn[], warn_end[];

int main(void)
{
	size_t size = warn_end - warn, done = 0;
	csh handle;
	cs_insn *insn;

	if (cs_open(CS_ARCH_X86, CS_MODE_64, &handle))
		return 1;
	size_t count = cs_disasm(handle, warn, size, 0, 0, &insn);
	for (size_t i = 0; i < count; done += insn[i++].size)
		printf("%s size %u\n", insn[i].mnemonic, insn[i].size);
	printf("%zu of %zu bytes\n", done, size);
	return 0;
}
C
gcc -I"$work/usr/include" "$work/show.c" "$work/warn.s" -o "$work/show" -L"$work/usr/lib/x86_64-linux-gnu" -lcapstone
LD_LIBRARY_PATH=$work/usr/lib/x86_64-linux-gnu "$work/show" | tee "$work/seen"
diff "$work/seen" - <<'SEEN'
ud2b size 4
cmp size 3
7 of 8 bytes
SEEN
