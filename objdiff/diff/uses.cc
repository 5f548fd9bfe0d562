#include "objdiff/diff/uses.h"

#include <algorithm>
#include <span>

namespace ksplice {

namespace {

constexpr uint64_t BehindCode = uint64_t{1} << 32;

// The relocations of the instruction.
std::span<const Relocation> relocations_of(const Section& code, const Instruction& instruction) {
  auto place = [&](uint64_t offset) {
    return std::lower_bound(code.relocations.begin(), code.relocations.end(), offset,
                            [](const Relocation& r, uint64_t at) { return r.offset < at; });
  };
  return {place(instruction.offset), place(instruction.end())};
}

}  // namespace

std::string string_of(const Atom& string) {
  const std::vector<uint8_t>& data = string.section->data;
  return std::string(data.begin() + static_cast<int64_t>(string.offset),
                     data.begin() + static_cast<int64_t>(string.end()));
}

std::vector<Use> Uses::of(const Atom& atom) const {
  std::vector<Use> result;
  for (const Relocation* relocation : atoms_.relocations(atom))
    if (relocation->offset >= atom.entry)
      result.push_back({relocation->offset - atom.entry, relocation->type,
                        atoms_.resolve(*atom.section, *relocation)});
  if (atom.is_function()) add_jump_table(atom, result);
  return result;
}

void Uses::add_jump_table(const Atom& function, std::vector<Use>& uses) const {
  uint64_t place = BehindCode;
  for (const TableEntry& entry : tables_.of(&function)) {
    if (entry.section->name != "__jump_table") continue;
    for (const Relocation& relocation : entry.relocations())
      uses.push_back({place + relocation.offset - entry.offset, relocation.type,
                      atoms_.resolve(*entry.section, relocation)});
    place += entry.size;
  }
}

std::vector<Use> Uses::with_code(const Atom& function) const {
  std::vector<Use> result;
  const Section& section = *function.section;
  for (const Instruction& instruction : atoms_.code(section)->instructions()) {
    if (instruction.offset < function.entry || instruction.offset >= function.end()) continue;
    const uint64_t offset = instruction.offset - function.entry;
    const std::span<const Relocation> relocations = relocations_of(section, instruction);
    for (const Relocation& relocation : relocations)
      result.push_back({offset, relocation.type, atoms_.resolve(section, relocation)});
    if (relocations.empty() && !instruction.is_padding()) result.push_back({offset, 0, {}});
  }
  add_jump_table(function, result);
  return result;
}

std::set<const Atom*> Uses::things_near(const Atom& function, uint64_t offset) const {
  std::set<const Atom*> things;
  if (offset < BehindCode) read_block(*function.section, function.entry + offset, 1, things);
  return things;
}

void Uses::read_block(const Section& code, uint64_t offset, int depth,
                      std::set<const Atom*>& things) const {
  while (const Instruction* instruction = atoms_.code(code)->at(offset)) {
    Reference reference;
    for (const Relocation& relocation : relocations_of(code, *instruction)) {
      reference = atoms_.resolve(code, relocation);
      if (reference.atom != nullptr) things.insert(reference.atom);
    }
    offset = instruction->end();
    const bool jumps = instruction->kind == InstructionKind::Jump ||
                       instruction->kind == InstructionKind::CondJump;
    if (jumps && depth > 0) {
      if (reference.atom == nullptr && reference.symbol == nullptr)
        read_block(code, static_cast<uint64_t>(instruction->target), depth - 1, things);
      else if (reference.atom != nullptr && reference.atom->is_function())
        read_block(
            *reference.atom->section,
            static_cast<uint64_t>(static_cast<int64_t>(reference.atom->entry) + reference.offset),
            depth - 1, things);
    }
    if (instruction->ends_flow()) return;
    if (jumps && depth-- <= 0) return;
  }
}

}  // namespace ksplice
