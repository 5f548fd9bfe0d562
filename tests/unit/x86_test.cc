#include <capstone/capstone.h>
#include <elf.h>
#include <gtest/gtest.h>

#include "objdiff/arch/arch.h"
#include "objdiff/base/error.h"
#include "objdiff/object/elf_read.h"
#include "tests/unit/compile.h"

namespace ksplice {
namespace {

using Kind = InstructionKind;

// The length that Capstone finds for the first instruction of bytes, 0 if it knows none.
unsigned capstone_length(std::span<const uint8_t> bytes) {
  static const csh handle = [] {
    csh opened = 0;
    EXPECT_EQ(cs_open(CS_ARCH_X86, CS_MODE_64, &opened), CS_ERR_OK);
    return opened;
  }();
  cs_insn* decoded = nullptr;
  size_t count = cs_disasm(handle, bytes.data(), bytes.size(), 0, 1, &decoded);
  if (count == 0) return 0;
  unsigned length = decoded[0].size;
  cs_free(decoded, count);
  return length;
}

Instruction decode(std::vector<uint8_t> bytes) {
  std::optional<Instruction> result = decode_instruction(bytes, 0);
  EXPECT_TRUE(result.has_value());
  return result.value_or(Instruction());
}

TEST(X86Decode, KnowsKindsAndFields) {
  Instruction call = decode({0xe8, 0x10, 0, 0, 0});
  EXPECT_EQ(call.kind, Kind::Call);
  EXPECT_EQ(call.size, 5);
  EXPECT_EQ(call.imm_offset, 1);
  EXPECT_EQ(call.imm_size, 4);
  EXPECT_EQ(call.target, 0x15);

  Instruction back = decode({0x75, 0xfe});
  EXPECT_EQ(back.kind, Kind::CondJump);
  EXPECT_EQ(back.target, 0);

  // movl $0x11223344, 0x10(%rip): four bytes of immediate follow the displacement.
  Instruction store = decode({0xc7, 0x05, 0x10, 0, 0, 0, 0x44, 0x33, 0x22, 0x11});
  EXPECT_TRUE(store.rip_relative);
  EXPECT_EQ(store.disp_offset, 2);
  EXPECT_EQ(store.disp_size, 4);
  EXPECT_EQ(store.imm_offset, 6);
  EXPECT_EQ(store.bytes_after(2), 4u);

  EXPECT_EQ(decode({0xcc}).kind, Kind::Int3);
  EXPECT_EQ(decode({0x66, 0x90}).kind, Kind::Nop);
  EXPECT_EQ(decode({0x0f, 0x1f, 0x44, 0, 0}).kind, Kind::Nop);
  EXPECT_EQ(decode({0xf3, 0x90}).kind, Kind::Other) << "pause is no nop";
  EXPECT_EQ(decode({0x41, 0x90}).kind, Kind::Other) << "xchg %r8, %rax is no nop";
  EXPECT_EQ(decode({0xf3, 0x0f, 0x1e, 0xfa}).kind, Kind::Endbr);
  EXPECT_EQ(decode({0xff, 0xe0}).kind, Kind::IndirectJump);
  EXPECT_EQ(decode({0xff, 0x15, 0, 0, 0, 0}).kind, Kind::IndirectCall);
  EXPECT_EQ(decode({0x0f, 0x0b}).kind, Kind::Trap);
  EXPECT_EQ(decode({0x48, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8}).imm_size, 8);
  EXPECT_EQ(decode({0x66, 0xb8, 1, 2}).imm_size, 2);
}

TEST(X86Decode, RefusesWhatIsCutOffOrNoInstruction) {
  EXPECT_FALSE(decode_instruction(std::vector<uint8_t>{0xe8, 0, 0}, 0));
  EXPECT_FALSE(decode_instruction(std::vector<uint8_t>{0x48}, 0));
  EXPECT_FALSE(decode_instruction(std::vector<uint8_t>{0x06}, 0)) << "push %es is gone";
  EXPECT_FALSE(decode_instruction(std::vector<uint8_t>{0x90}, 1));
  EXPECT_FALSE(decode_instruction(std::vector<uint8_t>(20, 0x66), 0)) << "longer than 15 bytes";
}

// All code of this program, as large as it is: our lengths are those of Capstone.
TEST(X86Decode, AgreesWithCapstone) {
  Object self = read_object("/proc/self/exe");
  size_t checked = 0, unknown = 0;
  for (const std::unique_ptr<Section>& section : self.sections) {
    if (section->name != ".text") continue;
    std::span<const uint8_t> code = section->data;
    for (const Instruction& instruction : decode_range(code, 0, code.size())) {
      unsigned expected = capstone_length(code.subspan(instruction.offset));
      checked++;
      if (expected == 0) unknown++;
      if (expected != 0) {
        ASSERT_EQ(instruction.size, expected) << "at " << instruction.offset;
      }
    }
  }
  EXPECT_GT(checked, 10000u);
  EXPECT_LT(unknown, checked / 1000);
}

TEST(X86Decode, AgreesWithCapstoneOnRareInstructions) {
  test::Workshop workshop;
  std::string path = workshop.compile("rare.S", R"(
    movabs 0x1122334455667788, %rax
    movabs $0x1122334455667788, %r15
    testb $1, 4(%rax,%rbx,8)
    testl $0x12345678, foo(%rip)
    notl foo(%rip)
    enter $16, $1
    lock cmpxchg16b (%rdi)
    imul $300, %rax, %rbx
    imul $3, %rax, %rbx
    shld $3, %rax, %rbx
    pshufd $1, %xmm0, %xmm1
    vpshufb %ymm1, %ymm2, %ymm3
    vpermq $1, foo(%rip), %ymm3
    vpsrld $3, %ymm1, %ymm2
    vextracti128 $1, %ymm1, %xmm2
    {evex} vpaddd 64(%rax), %ymm1, %ymm2
    aesenc %xmm1, %xmm2
    sha256rnds2 %xmm1, %xmm2
    crc32q %rax, %rbx
    mov %cr3, %rax
    mov %rax, %dr7
    rdpmc
    xsaves (%rdi)
    movbe (%rax), %ecx
    lar %ax, %ecx
    bt $3, %rax
    fldt 16(%rsp)
    push $0x12345678
    push $1
    ret $8
    out %al, $0x80
    loop .
    jrcxz .
    swapgs
    iretq
    xlat
    nopw %cs:0(%rax,%rax,1)
foo: .long 0)");
  Object object = read_object(path);
  std::span<const uint8_t> code = object.find_section(".text")->data;
  std::vector<Instruction> list = decode_range(code, 0, code.size() - 4);
  EXPECT_GE(list.size(), 37u);
  for (const Instruction& instruction : list)
    EXPECT_EQ(instruction.size, capstone_length(code.subspan(instruction.offset)))
        << instruction_text(code.subspan(instruction.offset), 0);
}

TEST(X86Relocation, SizesAndSigns) {
  EXPECT_EQ(reloc_size(R_X86_64_PC32), 4u);
  EXPECT_EQ(reloc_size(R_X86_64_64), 8u);
  EXPECT_TRUE(reloc_is_pc_relative(R_X86_64_PLT32));
  EXPECT_FALSE(reloc_is_pc_relative(R_X86_64_32S));
  EXPECT_THROW(reloc_size(9999), Error);
}

TEST(X86Relocation, SuitBranches) {
  EXPECT_EQ(branch_reloc(decode({0xe8, 0, 0, 0, 0})), uint32_t{R_X86_64_PLT32});
  EXPECT_EQ(branch_reloc(decode({0x0f, 0x84, 0, 0, 0, 0})), uint32_t{R_X86_64_PC32});
  EXPECT_EQ(branch_reloc(decode({0xeb, 0})), uint32_t{R_X86_64_PC8});
  EXPECT_TRUE(reloc_is_understood(RelocAddress));
  EXPECT_TRUE(reloc_is_understood(RelocDistance));
  EXPECT_FALSE(reloc_is_understood(R_X86_64_GOTPCREL));
  EXPECT_FALSE(reloc_is_understood(9999));
}

TEST(X86Rewrites, TellFillingFromCode) {
  EXPECT_TRUE(is_filling_nop(std::vector<uint8_t>{0x66, 0x90}));
  EXPECT_FALSE(is_filling_nop(std::vector<uint8_t>{0x66, 0x0f, 0x1f, 0x00})) << "a sealed entry";
  EXPECT_FALSE(is_filling_nop(std::vector<uint8_t>()));
  EXPECT_TRUE(is_jump_label_nop(jump_label_nop(2)));
  EXPECT_TRUE(is_jump_label_nop(jump_label_nop(5)));
  EXPECT_FALSE(is_jump_label_nop(std::vector<uint8_t>{0x0f, 0x1f, 0x00})) << "no size of a jump";
  EXPECT_EQ(landing_pad(std::vector<uint8_t>{0xf3, 0x0f, 0x1e, 0xfa, 0xc3}).size(), 4u);
  EXPECT_TRUE(landing_pad(std::vector<uint8_t>{0xf3, 0x0f, 0x1e, 0xfb, 0xc3}).empty());
  EXPECT_TRUE(landing_pad(std::vector<uint8_t>{0xf3, 0x0f, 0x1e}).empty());
  EXPECT_FALSE(is_bug_trap(std::vector<uint8_t>{0x0f, 0xb9})) << "ud1";
}

TEST(X86Rewrites, KnowBranchesByWhereTheyLead) {
  using Kind = BranchSite::Kind;
  const Instruction call = decode({0xe8, 0, 0, 0, 0}), jump = decode({0xe9, 0, 0, 0, 0});
  EXPECT_EQ(branch_site("__fentry__", call).kind, Kind::Ftrace);
  EXPECT_EQ(branch_site("__x86_return_thunk", jump).kind, Kind::ReturnThunk);
  EXPECT_EQ(branch_site("__x86_return_thunk", call).kind, Kind::Plain);
  EXPECT_EQ(branch_site("__x86_indirect_thunk_rbx", call).kind, Kind::IndirectThunk);
  EXPECT_EQ(branch_site("__x86_indirect_thunk_rbx", call).number, 3u);
  EXPECT_EQ(branch_site("__x86_indirect_thunk_r11", jump).number, 0x10bu);
  EXPECT_EQ(branch_site("__x86_indirect_thunk_r16", jump).kind, Kind::Plain);
  EXPECT_EQ(branch_site("kfree", call).kind, Kind::Plain);
}

TEST(X86Rewrites, JumpAsFarAsTheyCan) {
  EXPECT_EQ(short_jump(129), (std::vector<uint8_t>{0xeb, 0x7f}));
  EXPECT_EQ(short_jump(-126), (std::vector<uint8_t>{0xeb, 0x80}));
  EXPECT_FALSE(short_jump(130));
  EXPECT_FALSE(short_jump(-127));
  const JumpBytes far = jump_label_jump(5, 0x11223344);
  EXPECT_EQ(far.bytes, (std::vector<uint8_t>{0xe9, 0x44, 0x33, 0x22, 0x11}));
  EXPECT_EQ(far.target_offset, 1u);
  EXPECT_EQ(jump_label_jump(2, 5).bytes, (std::vector<uint8_t>{0xeb, 5}));
  EXPECT_EQ(jump_label_jump(2, 5).target_offset, 0u);
}

TEST(X86Rewrites, LoadAConstantFromMemory) {
  std::vector<uint8_t> code = {0x90, 0x49, 0xb9, 1, 2, 3, 4, 5, 6, 7, 8};  // movabs $..., %r9
  EXPECT_EQ(load_from_memory(code, 3), 4u);
  EXPECT_EQ(code, (std::vector<uint8_t>{0x90, 0x4c, 0x8b, 0x0d, 0, 0, 0, 0, 0x0f, 0x1f, 0x00}));
  std::vector<uint8_t> other = {0x90, 0x49, 0x89, 1, 2, 3, 4, 5, 6, 7, 8}, before = other;
  EXPECT_FALSE(load_from_memory(other, 3));
  EXPECT_FALSE(load_from_memory(other, 4)) << "cut off";
  EXPECT_EQ(other, before);
}

}  // namespace
}  // namespace ksplice
