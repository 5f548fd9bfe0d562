#include "objdiff/object/code.h"

#include <elf.h>
#include <fmt/format.h>

#include <algorithm>

namespace ksplice {
namespace {

const Symbol* covering_symbol(const Object& object, const Section* section, uint64_t offset) {
  const Symbol* best = nullptr;
  for (const std::unique_ptr<Symbol>& symbol : object.symbols) {
    if (symbol->section != section || symbol->is_section() || symbol->name.empty()) continue;
    if (symbol->type > STT_FUNC || symbol->value > offset) continue;
    bool inside = offset == symbol->value || offset - symbol->value < symbol->size;
    if (inside && (best == nullptr || symbol->value > best->value)) best = symbol.get();
  }
  return best;
}

// The instructions to show around offset: at most count on either side.
std::pair<size_t, size_t> window(const std::vector<Instruction>& list, uint64_t offset,
                                 unsigned count) {
  size_t at = 0;
  while (at + 1 < list.size() && list[at].end() <= offset) at++;
  size_t first = at > count ? at - count : 0;
  return {first, std::min(list.size(), at + count + 1)};
}

}  // namespace

CodeMap::CodeMap(const Object& object, const Section& section) {
  std::vector<uint64_t> starts{0};
  for (const std::unique_ptr<Symbol>& symbol : object.symbols)
    if (symbol->section == &section && symbol->is_function() && symbol->value < section.data.size())
      starts.push_back(symbol->value);
  starts.push_back(section.data.size());
  std::sort(starts.begin(), starts.end());
  starts.erase(std::unique(starts.begin(), starts.end()), starts.end());
  for (size_t i = 0; i + 1 < starts.size(); i++) {
    std::vector<Instruction> part = decode_range(section.data, starts[i], starts[i + 1]);
    instructions_.insert(instructions_.end(), part.begin(), part.end());
  }
}

const Instruction* CodeMap::at(uint64_t offset) const {
  auto after = std::upper_bound(
      instructions_.begin(), instructions_.end(), offset,
      [](uint64_t value, const Instruction& instruction) { return value < instruction.offset; });
  if (after == instructions_.begin()) return nullptr;
  const Instruction& found = *(after - 1);
  return offset < found.end() ? &found : nullptr;
}

int64_t reloc_target_offset(const Relocation& relocation, const CodeMap* code) {
  if (code == nullptr || !reloc_is_pc_relative(relocation.type)) return relocation.addend;
  const Instruction* instruction = code->at(relocation.offset);
  if (instruction == nullptr) return relocation.addend;
  return relocation.addend + static_cast<int64_t>(instruction->end() - relocation.offset);
}

std::string reloc_target_text(const Object& object, const Relocation& relocation,
                              const CodeMap* code) {
  int64_t offset = reloc_target_offset(relocation, code);
  const Symbol* symbol = relocation.symbol;
  if (symbol == nullptr) return fmt::format("{:#x}", offset);
  std::string name = symbol->name;
  if (symbol->is_section() && symbol->section != nullptr) {
    name = symbol->section->name;
    const Symbol* named =
        covering_symbol(object, symbol->section, static_cast<uint64_t>(symbol->value + offset));
    if (named != nullptr) {
      name = named->name;
      offset -= static_cast<int64_t>(named->value - symbol->value);
    }
  }
  if (offset == 0) return name;
  return offset < 0 ? fmt::format("{}-{:#x}", name, -offset)
                    : fmt::format("{}+{:#x}", name, offset);
}

std::string disassemble_around(const Object& object, const Section& section, uint64_t begin,
                               uint64_t end, uint64_t offset, unsigned count) {
  std::vector<Instruction> list = decode_range(section.data, begin, end);
  CodeMap code(object, section);
  auto [first, last] = window(list, offset, count);
  std::string text;
  for (size_t i = first; i < last; i++) {
    const Instruction& instruction = list[i];
    bool here = instruction.offset <= offset && offset < instruction.end();
    std::span<const uint8_t> bytes =
        std::span(section.data).subspan(instruction.offset, instruction.size);
    text += fmt::format("{} {:>6x}: {:<30} {}", here ? "=>" : "  ", instruction.offset - begin,
                        bytes_text(bytes), instruction_text(bytes, instruction.offset - begin));
    auto relocation = std::lower_bound(
        section.relocations.begin(), section.relocations.end(), instruction.offset,
        [](const Relocation& item, uint64_t value) { return item.offset < value; });
    for (; relocation != section.relocations.end() && relocation->offset < instruction.end();
         ++relocation)
      text += fmt::format("  <{}>", reloc_target_text(object, *relocation, &code));
    text += '\n';
  }
  return text;
}

std::string disassemble_around(std::span<const uint8_t> bytes, uint64_t address, uint64_t offset,
                               unsigned count) {
  std::vector<Instruction> list = decode_range(bytes, 0, bytes.size());
  auto [first, last] = window(list, offset, count);
  std::string text;
  for (size_t i = first; i < last; i++) {
    const Instruction& instruction = list[i];
    bool here = instruction.offset <= offset && offset < instruction.end();
    std::span<const uint8_t> part = bytes.subspan(instruction.offset, instruction.size);
    text += fmt::format("{} {:>6x}: {:<30} {}\n", here ? "=>" : "  ", instruction.offset,
                        bytes_text(part), instruction_text(part, address + instruction.offset));
  }
  return text;
}

}  // namespace ksplice
