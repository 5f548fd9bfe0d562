// R_X86_64_*, of the x86-64 psABI, table "Relocation Types".
#include <elf.h>
#include <fmt/format.h>

#include "objdiff/arch/arch.h"
#include "objdiff/base/error.h"

namespace ksplice {

// clang-format off
unsigned reloc_size(uint32_t type) {
  switch (type) {
    case R_X86_64_NONE: return 0;
    case R_X86_64_8: case R_X86_64_PC8: return 1;
    case R_X86_64_16: case R_X86_64_PC16: return 2;
    case R_X86_64_64: case R_X86_64_PC64: case R_X86_64_GLOB_DAT: case R_X86_64_RELATIVE:
    case R_X86_64_GOTOFF64: case R_X86_64_SIZE64: return 8;
    case R_X86_64_32: case R_X86_64_32S: case R_X86_64_PC32: case R_X86_64_PLT32:
    case R_X86_64_GOTPCREL: case R_X86_64_GOTPCRELX: case R_X86_64_REX_GOTPCRELX:
    case R_X86_64_GOTPC32: case R_X86_64_GOT32: case R_X86_64_SIZE32: return 4;
    default:
      throw Error("bad_file", fmt::format("relocation type {} is not known", type));
  }
}

bool reloc_is_pc_relative(uint32_t type) {
  switch (type) {
    case R_X86_64_PC8: case R_X86_64_PC16: case R_X86_64_PC32: case R_X86_64_PC64:
    case R_X86_64_PLT32: case R_X86_64_GOTPCREL: case R_X86_64_GOTPCRELX:
    case R_X86_64_REX_GOTPCRELX: case R_X86_64_GOTPC32: return true;
    default:
      return false;
  }
}

bool reloc_is_signed(uint32_t type) {
  return type == R_X86_64_32S || (reloc_is_pc_relative(type) && reloc_size(type) < 8);
}

uint32_t branch_reloc(const Instruction& branch) {
  if (branch.imm_size == 1) return R_X86_64_PC8;
  return branch.kind == InstructionKind::CondJump ? R_X86_64_PC32 : R_X86_64_PLT32;
}

bool reloc_is_understood(uint32_t type) {
  switch (type) {
    case R_X86_64_64: case R_X86_64_PC32: case R_X86_64_PLT32: case R_X86_64_32:
    case R_X86_64_32S: case R_X86_64_PC64: return true;
    default:
      return false;
  }
}

std::string reloc_name(uint32_t type) {
  switch (type) {
    case R_X86_64_NONE: return "R_X86_64_NONE";
    case R_X86_64_64: return "R_X86_64_64";
    case R_X86_64_PC32: return "R_X86_64_PC32";
    case R_X86_64_PLT32: return "R_X86_64_PLT32";
    case R_X86_64_32: return "R_X86_64_32";
    case R_X86_64_32S: return "R_X86_64_32S";
    case R_X86_64_16: return "R_X86_64_16";
    case R_X86_64_PC16: return "R_X86_64_PC16";
    case R_X86_64_8: return "R_X86_64_8";
    case R_X86_64_PC8: return "R_X86_64_PC8";
    case R_X86_64_PC64: return "R_X86_64_PC64";
    case R_X86_64_GOTPCREL: return "R_X86_64_GOTPCREL";
    case R_X86_64_GOTPCRELX: return "R_X86_64_GOTPCRELX";
    case R_X86_64_REX_GOTPCRELX: return "R_X86_64_REX_GOTPCRELX";
    default:
      return fmt::format("R_X86_64_type{}", type);
  }
}
// clang-format on

}  // namespace ksplice
