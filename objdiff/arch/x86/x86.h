// x86-64 instructions and relocations: the only place that knows Capstone and R_X86_64_*.
//
// Decoding uses a length decoder of our own (AMD64 APM volume 3, appendix A; Intel SDM volume 2,
// appendix A): it is some fifty times faster than Capstone with detail, knows where each field of
// an instruction lies, and does not fail on instructions newer than Capstone 4.0. Its lengths are
// checked against Capstone in x86_test. Capstone gives the text for messages.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "objdiff/object/object.h"

namespace ksplice {

enum class InstructionKind : uint8_t {
  Other,
  Nop,       // nop, 0f 1f forms with any prefixes, 66 90; not pause, not endbr
  Int3,      // cc
  Call,      // direct
  Jump,      // direct, rel8 or rel32
  CondJump,  // direct: jcc rel8 or rel32, loop, jrcxz
  IndirectCall,
  IndirectJump,
  Return,
  Trap,   // ud2, ud1, ud0
  Endbr,  // endbr64
};

// One decoded instruction. Offsets named *_offset are in the instruction, unless said otherwise.
struct Instruction {
  uint64_t offset = 0;  // in the code that was decoded
  uint8_t size = 0;
  InstructionKind kind = InstructionKind::Other;
  uint8_t opcode_offset = 0;  // of the first opcode byte, after legacy prefixes and REX
  uint8_t modrm_offset = 0;   // 0 if there is none
  uint8_t disp_offset = 0;    // memory displacement or moffs; valid if disp_size is not 0
  uint8_t disp_size = 0;
  uint8_t imm_offset =
      0;  // immediate, or the relative target of a branch; valid if imm_size is not 0
  uint8_t imm_size = 0;
  bool rip_relative = false;  // the displacement is relative to the end of the instruction
  int64_t target = 0;         // Call, Jump, CondJump: offset in the code, as encoded

  bool is_padding() const { return kind == InstructionKind::Nop || kind == InstructionKind::Int3; }
  bool is_branch() const {  // direct, with a relative target in its immediate field
    return kind == InstructionKind::Call || kind == InstructionKind::Jump ||
           kind == InstructionKind::CondJump;
  }
  // Execution never continues after it.
  bool ends_flow() const {
    return kind == InstructionKind::Jump || kind == InstructionKind::IndirectJump ||
           kind == InstructionKind::Return || kind == InstructionKind::Trap;
  }
  uint64_t end() const { return offset + size; }
  // How many bytes of the instruction follow the field at field_offset (in the code decoded) of 4
  // bytes.
  uint64_t bytes_after(uint64_t field_offset) const { return end() - (field_offset + 4); }
};

// The instruction at offset, or nullopt if the bytes are none (or are cut off).
std::optional<Instruction> decode_instruction(std::span<const uint8_t> code, uint64_t offset);

// All instructions of [begin, end). Bytes that are no instruction become one of size 1, kind Other.
std::vector<Instruction> decode_range(std::span<const uint8_t> code, uint64_t begin, uint64_t end);

// Condition code 0..15 of a jcc (the low nibble of its opcode), or -1.
int condition_code(std::span<const uint8_t> code, const Instruction& instruction);

// "movq   -8(%rbp), %rax" (AT&T syntax); "(bad)" for bytes that are no instruction.
// address is that of the first byte, for branch targets.
std::string instruction_text(std::span<const uint8_t> bytes, uint64_t address);

// The length that Capstone finds for the first instruction of bytes, 0 if it knows none. For tests
// of the decoder above.
unsigned capstone_length(std::span<const uint8_t> bytes);

// R_X86_64_*: how many bytes the field has (0 for NONE), whether the place is subtracted.
unsigned reloc_size(uint32_t type);
bool reloc_is_pc_relative(uint32_t type);
// Sign-extended when loaded (32S, PC32, PLT32), as against zero-extended (32).
bool reloc_is_signed(uint32_t type);
std::string reloc_name(uint32_t type);  // "R_X86_64_PC32"

// The instructions of an executable section, decoded once, to find the one that holds a field.
// Decoding restarts at every function symbol, so data between functions does no harm.
class CodeMap {
 public:
  CodeMap(const Object& object, const Section& section);
  // The instruction that has the byte at offset, or null.
  const Instruction* at(uint64_t offset) const;
  const std::vector<Instruction>& instructions() const { return instructions_; }

 private:
  std::vector<Instruction> instructions_;  // by offset
};

// The offset from relocation.symbol that is really referred to: the addend, with the distance from
// the field to the end of the instruction added back for pc-relative fields in code. For data (code
// is null) and absolute fields it is the addend alone.
int64_t reloc_target_offset(const Relocation& relocation, const CodeMap* code);

// "symbol+0x10" of what a relocation refers to; section symbols are resolved to the symbol that
// covers the place.
std::string reloc_target_text(const Object& object, const Relocation& relocation,
                              const CodeMap* code);

// Up to count instructions before and after the one at offset, one per line, the one marked with
// "=>"; relocated fields are shown by symbol. begin and end bound what is shown (usually a
// function).
std::string disassemble_around(const Object& object, const Section& section, uint64_t begin,
                               uint64_t end, uint64_t offset, unsigned count = 4);
// The same for bytes without relocations; address is that of bytes[0].
std::string disassemble_around(std::span<const uint8_t> bytes, uint64_t address, uint64_t offset,
                               unsigned count = 4);

}  // namespace ksplice
