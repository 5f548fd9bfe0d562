// The special sections of pre, by the code that their entries are about.
#include <algorithm>

#include "objdiff/arch/series.h"
#include "objdiff/base/bytes.h"
#include "objdiff/match/pre_index.h"
#include "objdiff/object/special_tables.h"

namespace ksplice {
namespace {

// The relocations of a table by offset; entries are told by the field that names the code.
const Relocation* reloc_at(const Section& section, uint64_t offset) {
  auto found = std::lower_bound(
      section.relocations.begin(), section.relocations.end(), offset,
      [](const Relocation& relocation, uint64_t value) { return relocation.offset < value; });
  return found != section.relocations.end() && found->offset == offset ? &*found : nullptr;
}

std::optional<CodePlace> code_place(const Relocation* relocation) {
  if (relocation == nullptr || relocation->symbol == nullptr) return std::nullopt;
  if (relocation->symbol->section == nullptr) return std::nullopt;
  return CodePlace{relocation->symbol->section,
                   relocation->symbol->value + static_cast<uint64_t>(relocation->addend)};
}

}  // namespace

// struct jump_entry (include/linux/jump_label.h): s32 code, s32 target, long key.
void PreIndex::read_jump_labels(const Section& section) {
  for (uint64_t at = 0; at + 16 <= section.data.size(); at += 16) {
    std::optional<CodePlace> place = code_place(reloc_at(section, at));
    const Relocation* target = reloc_at(section, at + 4);
    const Relocation* key = reloc_at(section, at + 8);
    if (!place || target == nullptr || key == nullptr) continue;
    JumpLabel label;
    label.target_reloc = target;
    label.target = resolve(*target, nullptr);
    Relocation plain = *key;
    label.branch = (plain.addend & 1) != 0;
    label.nop = (plain.addend & 2) != 0;
    plain.addend &= ~int64_t{3};
    label.key = resolve(plain, nullptr);
    jump_labels[*place] = label;
  }
}

// struct alt_instr (asm/alternative.h). Two relocations start each entry.
void PreIndex::read_alternatives(const Section& section) {
  Bytes bytes(section.data, object_.path);
  uint64_t size = section.relocations.size() >= 4
                      ? section.relocations[2].offset - section.relocations[0].offset
                      : section.data.size();
  const AlternativeLayout* layout = find_alternative_layout(size);
  if (layout == nullptr) return;
  for (uint64_t at = 0; at + size <= section.data.size(); at += size) {
    std::optional<CodePlace> place = code_place(reloc_at(section, at));
    std::optional<CodePlace> replacement = code_place(reloc_at(section, at + 4));
    if (!place || !replacement) continue;
    Alternative alternative;
    alternative.section = replacement->first;
    alternative.begin = replacement->second;
    alternative.feature =
        layout->feature_size == 2 ? bytes.read<uint16_t>(at + 8) : bytes.read<uint32_t>(at + 8);
    alternative.length = bytes.read<uint8_t>(at + size - 2);
    alternative.replacement_length = bytes.read<uint8_t>(at + size - 1);
    alternatives.emplace(*place, alternative);
  }
}

// struct exception_table_entry (arch/x86/include/asm/extable.h): int insn, fixup, data.
void PreIndex::read_exceptions(const Section& section) {
  Bytes bytes(section.data, object_.path);
  for (uint64_t at = 0; at + 12 <= section.data.size(); at += 12) {
    std::optional<CodePlace> place = code_place(reloc_at(section, at));
    const Relocation* fixup = reloc_at(section, at + 4);
    if (!place || fixup == nullptr) continue;
    exceptions[*place] = {resolve(*fixup, nullptr), bytes.read<uint32_t>(at + 8)};
  }
}

void PreIndex::read_bugs(const Section& section) {
  Bytes bytes(section.data, object_.path);
  uint64_t size = table_entry_size(section);
  for (const BugLayout& layout : bug_layouts())
    for (uint64_t at = 0; layout.size == size && at + size <= section.data.size(); at += size)
      if (std::optional<CodePlace> place = code_place(reloc_at(section, at)))
        bugs[*place] = bytes.read<uint16_t>(at + layout.flags_at);
}

// struct paravirt_patch_site: pointer, u8 type, u8 length, padded to 16 bytes.
void PreIndex::read_paravirt(const Section& section) {
  Bytes bytes(section.data, object_.path);
  for (uint64_t at = 0; at + 10 <= section.data.size(); at += 16)
    if (std::optional<CodePlace> place = code_place(reloc_at(section, at)))
      paravirt[*place] = bytes.read<uint8_t>(at + 9);
}

void PreIndex::read_smp_locks(const Section& section) {
  for (uint64_t at = 0; at + 4 <= section.data.size(); at += 4)
    if (std::optional<CodePlace> place = code_place(reloc_at(section, at)))
      smp_locks[*place] = true;
}

// Places of constants, in sections that name what is read there.
void PreIndex::read_runtime_constants(const Section& section) {
  for (uint64_t at = 0; at + 4 <= section.data.size(); at += 4)
    if (std::optional<CodePlace> place = code_place(reloc_at(section, at)))
      runtime_constants[*place] = {section.name.substr(8)};
}

void PreIndex::read_tables() {
  for (const std::unique_ptr<Section>& owned : object_.sections) {
    const std::string& name = owned->name;
    if (name == "__jump_table") read_jump_labels(*owned);
    if (name == ".altinstructions") read_alternatives(*owned);
    if (name == "__ex_table") read_exceptions(*owned);
    if (name == "__bug_table") read_bugs(*owned);
    if (name == ".parainstructions") read_paravirt(*owned);
    if (name == ".smp_locks") read_smp_locks(*owned);
    if (name.starts_with("runtime_ptr_") || name.starts_with("runtime_shift_"))
      read_runtime_constants(*owned);
  }
}

}  // namespace ksplice
