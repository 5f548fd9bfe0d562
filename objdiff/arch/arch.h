// What a processor must answer. arch/x86/ does so for x86-64; the sources of one processor are
// compiled in, and everything here is a plain function or table.
//
// In: bytes, offsets, the numbers of relocation types. Out: instructions with their lengths, fields
// and kinds, what a relocation does, text for messages. Knows nothing of objects, images or
// updates, and decides nothing: what to make of an instruction is the caller's.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

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

// "movq   -8(%rbp), %rax", as the kernel's own assembly is written; "(bad)" for bytes that are no
// instruction. address is that of the first byte, for branch targets.
std::string instruction_text(std::span<const uint8_t> bytes, uint64_t address);

// "e8 10 00 00 00 ", for messages.
std::string bytes_text(std::span<const uint8_t> bytes);

// Relocation types, by their number in the ELF file: how many bytes the field has (0 for none),
// whether the place is subtracted. Throws Error("bad_file") for a type that is not known.
unsigned reloc_size(uint32_t type);
bool reloc_is_pc_relative(uint32_t type);
// Sign-extended when loaded (R_X86_64_32S), as against zero-extended (R_X86_64_32).
bool reloc_is_signed(uint32_t type);
std::string reloc_name(uint32_t type);  // "R_X86_64_PC32"

}  // namespace ksplice
