// Lengths, fields and kinds of x86-64 instructions.
//
// The length decoder is our own (AMD64 APM volume 3, appendix A; Intel SDM volume 2, appendix A):
// it is some fifty times faster than Capstone with detail, knows where each field of an instruction
// lies, and does not fail on instructions newer than Capstone 4.0. Its lengths are checked against
// Capstone in x86_test.
#include <algorithm>
#include <cstring>

#include "objdiff/arch/arch.h"

namespace ksplice {
namespace {

// What follows an opcode.
enum Operand : uint8_t {
  None = 0,
  ModRm = 1,
  Imm8 = 2,
  Imm16 = 4,
  ImmZ = 8,    // 2 bytes with 66, else 4
  ImmV = 16,   // mov r, imm: 8 bytes with REX.W, 2 with 66, else 4
  Moffs = 32,  // 8 bytes, 4 with 67
  Rel32 = 64,  // near branch: always 4 in 64-bit mode on Intel; kernel code has no 66 on these
  Invalid = 128,
};

// clang-format off
uint8_t one_byte_operands(uint8_t op) {
  if (op < 0x40) {
    switch (op & 7) {
      case 0: case 1: case 2: case 3: return ModRm;
      case 4: return Imm8;
      case 5: return ImmZ;
      default:
        return Invalid;  // prefixes were consumed before; the rest does not exist in 64-bit mode
    }
  }
  if (op >= 0x50 && op <= 0x5f) return None;
  if (op >= 0x70 && op <= 0x7f) return Imm8;
  if (op >= 0x84 && op <= 0x8f) return ModRm;
  if (op >= 0x90 && op <= 0x9f) return op == 0x9a ? Invalid : None;
  if (op >= 0xb0 && op <= 0xb7) return Imm8;
  if (op >= 0xb8 && op <= 0xbf) return ImmV;
  if (op >= 0xd8 && op <= 0xdf) return ModRm;
  switch (op) {
    case 0x63: return ModRm;
    case 0x68: return ImmZ;
    case 0x69: return ModRm | ImmZ;
    case 0x6a: return Imm8;
    case 0x6b: return ModRm | Imm8;
    case 0x6c: case 0x6d: case 0x6e: case 0x6f: return None;
    case 0x80: case 0x83: return ModRm | Imm8;
    case 0x81: return ModRm | ImmZ;
    case 0xa0: case 0xa1: case 0xa2: case 0xa3: return Moffs;
    case 0xa8: return Imm8;
    case 0xa9: return ImmZ;
    case 0xa4: case 0xa5: case 0xa6: case 0xa7: case 0xaa: case 0xab: case 0xac: case 0xad:
    case 0xae: case 0xaf: return None;
    case 0xc0: case 0xc1: return ModRm | Imm8;
    case 0xc2: case 0xca: return Imm16;
    case 0xc3: case 0xcb: case 0xc9: case 0xcc: case 0xcf: return None;
    case 0xc6: return ModRm | Imm8;
    case 0xc7: return ModRm | ImmZ;
    case 0xc8: return Imm16 | Imm8;
    case 0xcd: return Imm8;
    case 0xd0: case 0xd1: case 0xd2: case 0xd3: return ModRm;
    case 0xd7: return None;
    case 0xe0: case 0xe1: case 0xe2: case 0xe3: case 0xe4: case 0xe5: case 0xe6: case 0xe7:
    case 0xeb: return Imm8;
    case 0xe8: case 0xe9: return Rel32;
    case 0xec: case 0xed: case 0xee: case 0xef: return None;
    case 0xf1: case 0xf4: case 0xf5: return None;
    case 0xf6: case 0xf7: case 0xfe: case 0xff: return ModRm;  // f6 and f7 /0 /1 add an immediate
    case 0xf8: case 0xf9: case 0xfa: case 0xfb: case 0xfc: case 0xfd: return None;
    default:
      return Invalid;
  }
}

// Map 0f; also VEX and EVEX map 1, whose operands differ only where it is said.
uint8_t two_byte_operands(uint8_t op, bool vex) {
  if (op >= 0x80 && op <= 0x8f && !vex) return Rel32;
  switch (op) {
    case 0x04: case 0x0a: case 0x0c: case 0x24: case 0x25: case 0x26: case 0x27: return Invalid;
    case 0x05: case 0x06: case 0x07: case 0x08: case 0x09: case 0x0b: case 0x0e: case 0x77:
    case 0xa0: case 0xa1: case 0xa2: case 0xa8: case 0xa9: case 0xaa: return None;
    case 0x30: case 0x31: case 0x32: case 0x33: case 0x34: case 0x35: case 0x36: case 0x37:
      return None;
    case 0xc8: case 0xc9: case 0xca: case 0xcb: case 0xcc: case 0xcd: case 0xce: case 0xcf:
      return None;
    case 0x0f: case 0x70: case 0x71: case 0x72: case 0x73: case 0xa4: case 0xac: case 0xba:
    case 0xc2: case 0xc4: case 0xc5: case 0xc6: return ModRm | Imm8;
    default:
      return ModRm;
  }
}

bool is_legacy_prefix(uint8_t byte) {
  switch (byte) {
    case 0x26: case 0x2e: case 0x36: case 0x3e: case 0x64: case 0x65: case 0x66: case 0x67:
    case 0xf0: case 0xf2: case 0xf3: return true;
    default:
      return false;
  }
}

InstructionKind kind_of(uint8_t map, uint8_t op, uint8_t modrm, bool rep, bool rex_b) {
  using K = InstructionKind;
  if (map == 0) {
    if (op >= 0x70 && op <= 0x7f) return K::CondJump;
    if (op >= 0xe0 && op <= 0xe3) return K::CondJump;
    switch (op) {
      case 0x90: return rep || rex_b ? K::Other : K::Nop;
      case 0xcc: return K::Int3;
      case 0xe8: return K::Call;
      case 0xe9: case 0xeb: return K::Jump;
      case 0xc2: case 0xc3: case 0xca: case 0xcb: case 0xcf: return K::Return;
      case 0xff:
        if (((modrm >> 3) & 7) == 2) return K::IndirectCall;
        if (((modrm >> 3) & 7) == 4) return K::IndirectJump;
        return K::Other;
      default:
        return K::Other;
    }
  }
  if (map == 1) {
    if (op >= 0x80 && op <= 0x8f) return K::CondJump;
    switch (op) {
      case 0x0b: case 0xb9: case 0xff: return K::Trap;
      case 0x1f: return ((modrm >> 3) & 7) == 0 && !rep ? K::Nop : K::Other;
      case 0x1e: return rep && modrm == 0xfa ? K::Endbr : K::Other;
      default:
        return K::Other;
    }
  }
  return K::Other;
}
// clang-format on

}  // namespace

// One function, though a long one: cut into steps it was a tenth slower, and everything waits for
// it.
std::optional<Instruction> decode_instruction(std::span<const uint8_t> code, uint64_t offset) {
  if (offset >= code.size()) return std::nullopt;
  const uint8_t* bytes = code.data() + offset;
  const size_t limit = std::min<size_t>(15, code.size() - offset);
  size_t at = 0;
  bool operand16 = false, address32 = false, rep = false, rex_w = false, rex_b = false;

  while (at < limit && is_legacy_prefix(bytes[at])) {
    if (bytes[at] == 0x66) operand16 = true;
    if (bytes[at] == 0x67) address32 = true;
    if (bytes[at] == 0xf3 || bytes[at] == 0xf2) rep = true;
    at++;
  }
  if (at < limit && (bytes[at] & 0xf0) == 0x40) {
    rex_w = (bytes[at] & 8) != 0;
    rex_b = (bytes[at] & 1) != 0;
    at++;
  }
  if (at >= limit) return std::nullopt;

  Instruction result;
  result.offset = offset;
  result.opcode_offset = static_cast<uint8_t>(at);
  uint8_t op = bytes[at++];
  uint8_t map = 0;
  uint8_t operands;
  bool vex = false;
  auto fetch = [&](uint8_t* byte) {
    if (at >= limit) return false;
    *byte = bytes[at++];
    return true;
  };
  if (op == 0xc5 || op == 0xc4 || op == 0x62) {  // VEX and EVEX; their 32-bit meanings are gone
    vex = true;
    uint8_t first, skipped;
    if (!fetch(&first)) return std::nullopt;
    map = op == 0xc5 ? 1 : first & (op == 0x62 ? 7 : 31);
    for (int i = 0; i < (op == 0xc5 ? 0 : op == 0xc4 ? 1 : 2); i++)
      if (!fetch(&skipped)) return std::nullopt;
    if (!fetch(&op)) return std::nullopt;
    if (map == 1) {
      operands = two_byte_operands(op, true);
    } else if (map == 2 || map == 5 || map == 6) {
      operands = ModRm;
    } else if (map == 3) {
      operands = ModRm | Imm8;
    } else {
      return std::nullopt;
    }
  } else if (op == 0x0f) {
    if (!fetch(&op)) return std::nullopt;
    map = 1;
    if (op == 0x38 || op == 0x3a) {
      map = op == 0x38 ? 2 : 3;
      if (!fetch(&op)) return std::nullopt;
      operands = map == 2 ? ModRm : ModRm | Imm8;
    } else {
      operands = two_byte_operands(op, false);
    }
  } else {
    operands = one_byte_operands(op);
  }
  if (operands & Invalid) return std::nullopt;

  uint8_t modrm = 0;
  if (operands & ModRm) {
    result.modrm_offset = static_cast<uint8_t>(at);
    if (!fetch(&modrm)) return std::nullopt;
    uint8_t mod = modrm >> 6, rm = modrm & 7, base = rm;
    // mov to and from control and debug registers take registers whatever mod says.
    bool registers_only = map == 1 && !vex && op >= 0x20 && op <= 0x23;
    if (mod != 3 && !registers_only) {
      if (rm == 4) {
        uint8_t sib;
        if (!fetch(&sib)) return std::nullopt;
        base = sib & 7;
      }
      if (mod == 1) result.disp_size = 1;
      if (mod == 2 || (mod == 0 && base == 5)) result.disp_size = 4;
      result.rip_relative = mod == 0 && rm == 5;
      result.disp_offset = static_cast<uint8_t>(at);
      at += result.disp_size;
    }
    uint8_t reg = (modrm >> 3) & 7;
    if (map == 0 && !vex && reg < 2) {
      if (op == 0xf6) operands |= Imm8;
      if (op == 0xf7) operands |= ImmZ;
    }
  }
  if (operands & Moffs) {
    result.disp_offset = static_cast<uint8_t>(at);
    result.disp_size = address32 ? 4 : 8;
    at += result.disp_size;
  }
  unsigned immediate = 0;
  if (operands & Imm8) immediate += 1;
  if (operands & Imm16) immediate += 2;
  if (operands & ImmZ) immediate += operand16 && !rex_w ? 2 : 4;
  if (operands & ImmV) immediate += rex_w ? 8 : operand16 ? 2 : 4;
  if (operands & Rel32) immediate += 4;
  result.imm_offset = static_cast<uint8_t>(at);
  result.imm_size = static_cast<uint8_t>(immediate);
  at += immediate;
  if (at > limit) return std::nullopt;
  result.size = static_cast<uint8_t>(at);

  if (!vex) result.kind = kind_of(map, op, modrm, rep, rex_b);
  if (result.is_branch()) {
    int64_t distance = static_cast<int8_t>(bytes[result.imm_offset]);
    if (result.imm_size == 4) {
      int32_t wide;
      std::memcpy(&wide, bytes + result.imm_offset, 4);
      distance = wide;
    }
    result.target = static_cast<int64_t>(result.end()) + distance;
  }
  return result;
}

std::vector<Instruction> decode_range(std::span<const uint8_t> code, uint64_t begin, uint64_t end) {
  std::vector<Instruction> result;
  if (end > code.size()) end = code.size();
  if (begin >= end) return result;
  result.reserve((end - begin) / 4 + 1);
  std::span<const uint8_t> bounded = code.first(end);
  for (uint64_t offset = begin; offset < end;) {
    std::optional<Instruction> instruction = decode_instruction(bounded, offset);
    if (!instruction) {
      instruction.emplace();
      instruction->offset = offset;
      instruction->size = 1;
    }
    result.push_back(*instruction);
    offset += instruction->size;
  }
  return result;
}

int condition_code(std::span<const uint8_t> code, const Instruction& instruction) {
  if (instruction.kind != InstructionKind::CondJump) return -1;
  uint8_t op = code[instruction.offset + instruction.opcode_offset];
  if (op == 0x0f) return code[instruction.offset + instruction.opcode_offset + 1] & 15;
  return op >= 0x70 && op <= 0x7f ? op & 15 : -1;
}

bool accesses_address(std::span<const uint8_t> code, const Instruction& instruction,
                      uint64_t field) {
  if (instruction.disp_size == 0 || field != instruction.offset + instruction.disp_offset)
    return false;
  constexpr uint8_t Lea = 0x8d;
  if (code[instruction.offset + instruction.opcode_offset] == Lea) return false;
  if (instruction.rip_relative || instruction.modrm_offset == 0) return true;
  // Neither base nor index: mod 0, rm 4, and a SIB byte that says so.
  const uint64_t modrm = instruction.offset + instruction.modrm_offset;
  return (code[modrm] & 0xc7) == 0x04 && (code[modrm + 1] & 0x3f) == 0x25;
}

}  // namespace ksplice
