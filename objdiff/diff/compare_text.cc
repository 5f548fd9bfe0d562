#include "objdiff/diff/compare_text.h"

#include <fmt/core.h>

#include <algorithm>
#include <optional>
#include <span>

#include "objdiff/diff/compare.h"

namespace ksplice {

std::string constant_text(const Atom& atom) {
  if (atom.kind != AtomKind::String) return atom.name;
  constexpr uint64_t Shown = 60;
  const std::vector<uint8_t>& data = atom.section->data;
  std::string text = "\"";
  for (uint64_t i = 0; i < std::min(atom.size - 1, Shown); ++i) {
    const char c = static_cast<char>(data[atom.offset + i]);
    text += c >= ' ' && c < 127 ? c : '.';
  }
  return text + '"';
}

namespace {

std::string reference_text(const Reference& reference) {
  std::string text;
  if (reference.atom != nullptr)
    text = constant_text(*reference.atom);
  else if (reference.symbol != nullptr)
    text = reference.symbol->name;
  if (reference.offset > 0) text += fmt::format("+{:#x}", reference.offset);
  if (reference.offset < 0) text += fmt::format("-{:#x}", -reference.offset);
  return text;
}

}  // namespace

std::string code_text(const Atoms& atoms, const Atom& function, uint64_t place) {
  const Section& section = *function.section;
  const uint64_t at = function.entry + place;
  if (at >= std::min<uint64_t>(function.end(), section.data.size()))
    return fmt::format("the end of {}", function.name);
  const std::optional<Instruction> instruction = decode_instruction(section.data, at);
  const uint64_t size =
      std::min<uint64_t>(instruction ? instruction->size : 1, section.data.size() - at);
  std::string text = instruction_text(std::span(section.data).subspan(at, size), place);
  auto relocation = first_relocation(section, at);
  if (instruction && instruction->is_branch() && relocation != section.relocations.end() &&
      relocation->offset < at + size)
    text = text.substr(0, text.find(' '));  // the target as encoded says nothing
  for (; relocation != section.relocations.end() && relocation->offset < at + size; ++relocation)
    text += fmt::format(" <{}>", reference_text(atoms.resolve(section, *relocation)));
  return text;
}

}  // namespace ksplice
