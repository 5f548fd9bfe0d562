#include "objdiff/object/special_tables.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>
#include <string_view>
#include <tuple>

#include "objdiff/arch/series.h"

namespace ksplice {

namespace {

const TableFormat* find_format(std::string_view name) {
  for (const TableFormat& format : table_formats())
    if (format.name == name || (format.name.ends_with('*') &&
                                name.starts_with(format.name.substr(0, format.name.size() - 1))))
      return &format;
  return nullptr;
}

// Where the section would end with the last entry's padding.
uint64_t padded_end(const Section& section) {
  const uint64_t align = std::max<uint64_t>(section.align, 1);
  return (section.size + align - 1) / align * align;
}

// The number of relocations of each entry of that size if all have one at their start and those of
// the others at the same places, else 0.
size_t relocations_each(const Section& section, uint64_t size) {
  const std::vector<Relocation>& all = section.relocations;
  if (size == 0 || all.empty() || all.front().offset != 0 || padded_end(section) % size != 0)
    return 0;
  size_t each = 0;
  while (each < all.size() && all[each].offset < size) ++each;
  if (all.size() != each * (padded_end(section) / size)) return 0;
  for (size_t i = each; i < all.size(); ++i)
    if (all[i].offset != all[i - each].offset + size) return 0;
  return each;
}

bool fits(const Section& section, uint64_t size) { return relocations_each(section, size) != 0; }

// Every entry of that size begins with a relocation; they may differ in the others.
bool begins(const Section& section, uint64_t size) {
  if (section.size % size != 0) return false;
  std::set<uint64_t> places;
  for (const Relocation& relocation : section.relocations) places.insert(relocation.offset);
  for (uint64_t at = 0; at < section.size; at += size)
    if (!places.contains(at)) return false;
  return true;
}

bool is_zero(const Section& section, uint64_t begin, uint64_t end) {
  return std::all_of(section.data.begin() + static_cast<int64_t>(begin),
                     section.data.begin() + static_cast<int64_t>(end),
                     [](uint8_t byte) { return byte == 0; });
}

// The last entry ends without its padding: the others have as much, of zeros.
uint64_t content_size(const Section& section, uint64_t size) {
  const uint64_t content = section.size % size;
  if (content == 0) return size;
  for (uint64_t at = 0; at + size <= section.size; at += size)
    if (!is_zero(section, at + content, at + size)) return 0;
  return content;
}

// The sizes of up to three relocations each: an entry's first relocation comes again after as much.
std::vector<uint64_t> distances(const Section& section) {
  std::vector<uint64_t> result;
  for (size_t i = 1; i < std::min<size_t>(section.relocations.size(), 4); ++i)
    result.push_back(section.relocations[i].offset - section.relocations[0].offset);
  return result;
}

// All of it is in the file, unlike what SHT_NOBITS says.
bool has_content(const Section& section) { return section.data.size() == section.size; }

}  // namespace

std::span<const Relocation> TableEntry::relocations() const {
  auto before = [](const Relocation& r, uint64_t place) { return r.offset < place; };
  const auto& all = section->relocations;
  auto first = std::lower_bound(all.begin(), all.end(), offset, before);
  auto last = std::lower_bound(first, all.end(), offset + size, before);
  return {first, last};
}

bool is_table(const std::string& section_name) { return find_format(section_name) != nullptr; }

uint64_t regular_entry_size(const Section& section) {
  if (!has_content(section)) return 0;
  for (uint64_t size : distances(section))
    if (size < section.size && fits(section, size)) return size;
  return 0;
}

uint64_t table_entry_size(const Section& section) {
  const TableFormat* format = find_format(section.name);
  if (format == nullptr || !has_content(section)) return 0;
  if (section.entsize > 1 && fits(section, section.entsize)) return section.entsize;
  for (uint64_t size : format->sizes)
    if (fits(section, size)) return size;
  // Entries that differ in their relocations (an exception entry without a fixup address): the only
  // size there is, if each begins with one.
  if (format->sizes[1] == 0 && begins(section, format->sizes[0])) return format->sizes[0];
  const auto [least, most] = format->relocations;
  std::vector<uint64_t> sizes = distances(section);
  // One entry has the whole section: there is no choice if it takes all relocations.
  if (least == most || section.relocations.size() < 2 * least) sizes.push_back(padded_end(section));
  for (uint64_t size : sizes)
    if (const size_t each = relocations_each(section, size); each >= least && each <= most)
      return size;
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
  const uint64_t content = size == 0 ? 0 : content_size(section, size);
  if (content == 0) {
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
  auto relocation = section.relocations.begin();
  for (uint64_t offset = 0; offset + content <= section.size; offset += size) {
    while (relocation != section.relocations.end() && relocation->offset < offset) ++relocation;
    if (relocation == section.relocations.end()) break;
    if (relocation->offset != offset) continue;
    const Reference reference = atoms_.resolve(section, *relocation);
    if (reference.atom == nullptr || !reference.atom->is_function()) continue;
    TableEntry entry{&section, offset, content, reference.atom, reference.offset};
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
