#include "objdiff/object/special_tables.h"

#include <fmt/core.h>

#include <algorithm>
#include <string_view>
#include <tuple>

#include "objdiff/arch/series.h"

namespace ksplice {

namespace {

const TableFormat* find_format(std::string_view name) {
  for (const TableFormat& format : table_formats())
    if (format.name == name) return &format;
  return nullptr;
}

// All entries have a relocation at their start, and relocations at the same places.
bool fits(const Section& section, uint64_t size) {
  if (size == 0 || section.size % size != 0) return false;
  uint64_t entry = 0;
  std::vector<uint64_t> first, places;
  for (size_t i = 0; i <= section.relocations.size(); ++i) {
    const bool end = i == section.relocations.size();
    if (end || section.relocations[i].offset >= entry + size) {
      if (places.empty() || places.front() != 0) return false;
      if (entry == 0) first = places;
      if (places != first) return false;
      entry += size;
      places.clear();
      if (end) break;
      if (section.relocations[i].offset >= entry + size) return false;
    }
    places.push_back(section.relocations[i].offset - entry);
  }
  return entry == section.size;
}

}  // namespace

std::span<const Relocation> TableEntry::relocations() const {
  auto before = [](const Relocation& r, uint64_t place) { return r.offset < place; };
  const auto& all = section->relocations;
  auto first = std::lower_bound(all.begin(), all.end(), offset, before);
  auto last = std::lower_bound(first, all.end(), offset + size, before);
  return {first, last};
}

bool is_table(const std::string& section_name) { return find_format(section_name) != nullptr; }

uint64_t table_entry_size(const Section& section) {
  const TableFormat* format = find_format(section.name);
  if (format == nullptr) return 0;
  if (section.entsize > 1 && fits(section, section.entsize)) return section.entsize;
  for (uint64_t size : format->sizes)
    if (fits(section, size)) return size;
  // Entries that differ in their relocations (an exception entry without a fixup address): the only
  // size there is, if the section is a multiple of it.
  if (format->sizes[1] == 0 && section.size % format->sizes[0] == 0) return format->sizes[0];
  return 0;
}

SpecialTables::SpecialTables(const Atoms& atoms) : atoms_(atoms) {
  for (const auto& section : atoms.object().sections)
    if (is_table(section->name) && section->size > 0) read(*section);
  for (auto& [function, entries] : entries_)
    std::stable_sort(entries.begin(), entries.end(), [](const TableEntry& a, const TableEntry& b) {
      return std::tie(a.section->name, a.owner_offset) < std::tie(b.section->name, b.owner_offset);
    });
}

void SpecialTables::read(const Section& section) {
  const uint64_t size = table_entry_size(section);
  if (size == 0) {
    Refusal refusal;
    refusal.code = "unknown_section";
    refusal.object = atoms_.object().path;
    refusal.section = section.name;
    refusal.message = fmt::format("{} of {} bytes with {} relocations has entries of no known size",
                                  section.name, section.size, section.relocations.size());
    refusal.expected = "entries with relocations at the same places";
    refusal.advice = "report the kernel version; its table format is not known yet";
    refusals_.push_back(std::move(refusal));
    return;
  }
  const uint64_t first_size = size;
  auto relocation = section.relocations.begin();
  for (uint64_t offset = 0; offset + first_size <= section.size; offset += first_size) {
    while (relocation != section.relocations.end() && relocation->offset < offset) ++relocation;
    if (relocation == section.relocations.end()) break;
    if (relocation->offset != offset) continue;
    const Reference reference = atoms_.resolve(section, *relocation);
    if (reference.atom == nullptr || !reference.atom->is_function()) continue;
    TableEntry entry{&section, offset, first_size, reference.atom, reference.offset};
    entries_[reference.atom].push_back(entry);
  }
}

const std::vector<TableEntry>& SpecialTables::of(const Atom* function) const {
  static const std::vector<TableEntry> none;
  auto found = entries_.find(function);
  return found == entries_.end() ? none : found->second;
}

bool SpecialTables::has_ftrace_site(const Atom& function) const {
  // Call padding (-fpatchable-function-entry=16,16, since 6.2) has records too, of places before
  // the entry, and notrace functions have it as well.
  for (const TableEntry& entry : of(&function))
    if (entry.owner_offset >= 0 && (entry.section->name == "__mcount_loc" ||
                                    entry.section->name == "__patchable_function_entries"))
      return true;
  for (const Relocation* relocation : atoms_.relocations(function)) {
    if (relocation->offset > function.entry + MaxFtraceOffset) break;
    if (relocation->symbol != nullptr && relocation->symbol->name == FtraceCall) return true;
  }
  return false;
}

}  // namespace ksplice
