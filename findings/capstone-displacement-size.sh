#!/usr/bin/env bash
# Capstone 4.0.2 (libcapstone4 4.0.2-5 of Debian 12): the detail field encoding.disp_size of an instruction in
# 64-bit mode follows the operand size. With the prefix 66, or the 66 that a VEX prefix implies, it says 2 for a
# displacement of 4 bytes, while the size of the whole instruction and the printed operand are right. A tool that
# finds the place of a relocation with disp_offset and disp_size masks two bytes of four. Take the width from the
# relocation, or from the addressing form: it is 1 or 4 in 64-bit mode, whatever the operands are.
#
# Seen: 81 3d (cmpl) 4, 66 81 3d (cmpw) 2, c5 f9 6f 05 (vmovdqa) 2, c5 fa 6f 05 (vmovdqu) 4.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$here/packages" bookworm "$work" libcapstone4=4.0.2-5 libcapstone-dev=4.0.2-5
cat >"$work/show.c" <<'C'
#include <capstone/capstone.h>
#include <stdio.h>

static void show(csh handle, const uint8_t *code, size_t size)
{
	cs_insn *insn;

	if (cs_disasm(handle, code, size, 0, 1, &insn) != 1)
		return;
	printf("%s size %u disp_size %u\n", insn->mnemonic, insn->size,
	       insn->detail->x86.encoding.disp_size);
	cs_free(insn, 1);
}

int main(void)
{
	static const uint8_t cmpl[] = { 0x81, 0x3d, 1, 2, 3, 4, 5, 6, 7, 8 };
	static const uint8_t cmpw[] = { 0x66, 0x81, 0x3d, 1, 2, 3, 4, 5, 6 };
	static const uint8_t vmovdqa[] = { 0xc5, 0xf9, 0x6f, 0x05, 1, 2, 3, 4 };
	static const uint8_t vmovdqu[] = { 0xc5, 0xfa, 0x6f, 0x05, 1, 2, 3, 4 };
	csh handle;

	if (cs_open(CS_ARCH_X86, CS_MODE_64, &handle) || cs_option(handle, CS_OPT_DETAIL, CS_OPT_ON))
		return 1;
	show(handle, cmpl, sizeof(cmpl));
	show(handle, cmpw, sizeof(cmpw));
	show(handle, vmovdqa, sizeof(vmovdqa));
	show(handle, vmovdqu, sizeof(vmovdqu));
	return 0;
}
C
gcc -I"$work/usr/include" "$work/show.c" -o "$work/show" -L"$work/usr/lib/x86_64-linux-gnu" -lcapstone
LD_LIBRARY_PATH=$work/usr/lib/x86_64-linux-gnu "$work/show" | tee "$work/seen"
diff "$work/seen" - <<'SEEN'
cmp size 10 disp_size 4
cmp size 9 disp_size 2
vmovdqa size 8 disp_size 2
vmovdqu size 8 disp_size 4
SEEN
