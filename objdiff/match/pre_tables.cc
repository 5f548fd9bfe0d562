// The special sections of pre, by the code that their entries are about.
#include <fmt/format.h>

#include <algorithm>

#include "objdiff/arch/series.h"
#include "objdiff/base/bytes.h"
#include "objdiff/base/error.h"
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

[[noreturn]] void fail(const Object& object, const Section& section, uint64_t at,
                       const std::string& what) {
  throw Error("bad_file", fmt::format("{}: {}+{:#x}: {}", object.path, section.name, at, what),
              "what a table says of the code cannot be left out of the proof: report the object");
}

CodePlace code_place(const Object& object, const Section& section, uint64_t at) {
  const Relocation* relocation = reloc_at(section, at);
  if (relocation == nullptr || relocation->symbol == nullptr ||
      relocation->symbol->section == nullptr)
    fail(object, section, at, "an entry does not say which code it is about");
  return {relocation->symbol->section,
          relocation->symbol->value + static_cast<uint64_t>(relocation->addend)};
}

const Relocation& field(const Object& object, const Section& section, uint64_t at) {
  const Relocation* relocation = reloc_at(section, at);
  if (relocation == nullptr) fail(object, section, at, "a field of an entry leads nowhere");
  return *relocation;
}

// Calls read(at, place) for each entry of that size. The last one has at least that many bytes of
// it.
template <typename Read>
void for_each_entry(const Object& object, const Section& section, uint64_t size, uint64_t least,
                    const Read& read) {
  for (uint64_t at = 0; at < section.data.size(); at += size) {
    if (section.data.size() - at < least) fail(object, section, at, "an entry is cut off");
    read(at, code_place(object, section, at));
  }
}

template <typename Read>
void for_each_entry(const Object& object, const Section& section, uint64_t size, const Read& read) {
  for_each_entry(object, section, size, size, read);
}

}  // namespace

// struct jump_entry (include/linux/jump_label.h): s32 code, s32 target, long key.
void PreIndex::read_jump_labels(const Section& section) {
  for_each_entry(object_, section, 16, [&](uint64_t at, const CodePlace& place) {
    JumpLabel label;
    label.target = resolve(field(object_, section, at + 4), nullptr);
    Relocation plain = field(object_, section, at + 8);
    label.branch = (plain.addend & 1) != 0;
    label.nop = (plain.addend & 2) != 0;
    plain.addend &= ~int64_t{3};
    label.key = resolve(plain, nullptr);
    jump_labels[place] = label;
  });
}

// struct alt_instr (asm/alternative.h).
void PreIndex::read_alternatives(const Section& section) {
  Bytes bytes(section.data, object_.path);
  const auto [size, feature_size] = series_->alternatives;
  const bool is_wide = feature_size == 4;
  for_each_entry(object_, section, size, [&, size = size](uint64_t at, const CodePlace& place) {
    const CodePlace replacement = code_place(object_, section, at + 4);
    Alternative alternative;
    alternative.section = replacement.first;
    alternative.begin = replacement.second;
    alternative.feature = is_wide ? bytes.read<uint32_t>(at + 8) : bytes.read<uint16_t>(at + 8);
    alternative.length = bytes.read<uint8_t>(at + size - 2);
    alternative.replacement_length = bytes.read<uint8_t>(at + size - 1);
    alternatives.emplace(place, alternative);
  });
}

// struct exception_table_entry (arch/x86/include/asm/extable.h): int insn, fixup, data.
void PreIndex::read_exceptions(const Section& section) {
  Bytes bytes(section.data, object_.path);
  for_each_entry(object_, section, 12, [&](uint64_t at, const CodePlace& place) {
    exceptions[place] = {resolve(field(object_, section, at + 4), nullptr),
                         bytes.read<uint32_t>(at + 8)};
  });
}

void PreIndex::read_bugs(const Section& section) {
  Bytes bytes(section.data, object_.path);
  const uint64_t size = table_entry_size(section);
  auto layout = std::find_if(series_->bugs.begin(), series_->bugs.end(),
                             [&](const BugLayout& each) { return each.size == size; });
  if (layout == series_->bugs.end())
    fail(object_, section, 0, "the entries are of no known layout");
  for_each_entry(object_, section, size, [&](uint64_t at, const CodePlace& place) {
    Bug bug;
    bug.flags = bytes.read<uint16_t>(at + layout->flags_at);
    bug.entry = at;
    if (layout->format_at != 0)
      bug.format = resolve(field(object_, section, at + layout->format_at), nullptr);
    bugs[place] = bug;
  });
}

// struct paravirt_patch_site: pointer, u8 type, u8 length, padded to 16 bytes.
void PreIndex::read_paravirt(const Section& section) {
  Bytes bytes(section.data, object_.path);
  for_each_entry(object_, section, 16, 10, [&](uint64_t at, const CodePlace& place) {
    paravirt[place] = bytes.read<uint8_t>(at + 9);
  });
}

void PreIndex::read_smp_locks(const Section& section) {
  for_each_entry(object_, section, 4,
                 [&](uint64_t, const CodePlace& place) { smp_locks[place] = true; });
}

// Places of constants, in sections that name what is read there.
void PreIndex::read_runtime_constants(const Section& section) {
  for_each_entry(object_, section, 4, [&](uint64_t, const CodePlace& place) {
    runtime_constants[place] = {section.name.substr(8)};
  });
}

void PreIndex::read_tables() {
  if (series_ == nullptr) return;
  for (const std::unique_ptr<Section>& owned : object_.sections) {
    const std::string& name = owned->name;
    if (owned->data.empty()) continue;
    if (name == "__jump_table") read_jump_labels(*owned);
    if (name == ".altinstructions") read_alternatives(*owned);
    if (name == "__ex_table") read_exceptions(*owned);
    if (name == "__bug_table") read_bugs(*owned);
    if (name == ".parainstructions") read_paravirt(*owned);
    if (name == ".smp_locks") read_smp_locks(*owned);
    if (name.starts_with("runtime_")) read_runtime_constants(*owned);
  }
}

}  // namespace ksplice
