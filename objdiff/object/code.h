// The instructions of an object's sections, with what their relocations refer to.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "objdiff/arch/arch.h"
#include "objdiff/object/object.h"

namespace ksplice {

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
