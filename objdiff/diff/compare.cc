#include "objdiff/diff/compare.h"

#include <elf.h>

#include <algorithm>

#include "objdiff/arch/series.h"
#include "objdiff/diff/compare_text.h"
#include "objdiff/diff/diff_refusals.h"

namespace ksplice {

namespace {

// Written by objtool from the code, or about other things than the function's own behaviour.
bool is_derived_table(const std::string& name) {
  return name == ".orc_unwind_ip" || name == ".ibt_endbr_seal" || name == "__mcount_loc" ||
         name == "__patchable_function_entries";
}

}  // namespace

bool is_local_constant(const Atom& atom) {
  return atom.kind == AtomKind::Data && atom.symbol != nullptr && atom.symbol->bind == STB_LOCAL &&
         !atom.section->is_write() && !atom.section->is_exec() &&
         (atom.section->name.starts_with(".rodata") ||
          atom.section->name.starts_with(".data.rel.ro"));
}

std::vector<Relocation>::const_iterator first_relocation(const Section& section, uint64_t offset) {
  return std::lower_bound(section.relocations.begin(), section.relocations.end(), offset,
                          [](const Relocation& r, uint64_t place) { return r.offset < place; });
}

Comparer::Comparer(const Atoms& pre, const Atoms& post, const Correlation& correlation,
                   const SpecialTables& pre_tables, const SpecialTables& post_tables,
                   const CodeTables& pre_code_tables, const CodeTables& post_code_tables)
    : pre_(pre),
      post_(post),
      correlation_(correlation),
      pre_tables_(pre_tables),
      post_tables_(post_tables),
      pre_code_tables_(pre_code_tables),
      post_code_tables_(post_code_tables) {}

namespace {

// How many bytes of replacement code at begin an entry of .altinstructions is about. Where its
// layout is not known, these are all up to the next entry's.
uint64_t replacement_length(const Atoms& atoms, const TableEntry& entry, const Section& code,
                            uint64_t begin) {
  // struct alt_instr: instr_offset, repl_offset, cpuid/flags, instrlen, replacementlen [, padlen]
  constexpr uint64_t Padded = 13;
  if (find_alternative_layout(entry.size) != nullptr || entry.size == Padded)
    return entry.section->data[entry.offset + (entry.size == Padded ? 11 : entry.size - 1)];
  uint64_t end = code.size;
  for (const Relocation& relocation : entry.section->relocations) {
    const Reference other = atoms.resolve(*entry.section, relocation);
    if (other.atom == nullptr || other.atom->section != &code) continue;
    const uint64_t place = other.atom->entry + static_cast<uint64_t>(other.offset);
    if (place > begin) end = std::min(end, place);
  }
  return begin <= end ? end - begin : 0;
}

}  // namespace

bool Comparer::same_alternative(const TableEntry& pre, const TableEntry& post) {
  constexpr uint64_t Replacement = 4, Rest = 8;
  if (pre.size < Rest) return false;  // cut off: nothing is known of it
  auto a = first_relocation(*pre.section, pre.offset + Replacement);
  auto b = first_relocation(*post.section, post.offset + Replacement);
  const bool has_a = a != pre.section->relocations.end() && a->offset == pre.offset + Replacement;
  const bool has_b = b != post.section->relocations.end() && b->offset == post.offset + Replacement;
  if (has_a != has_b) return false;
  if (!std::equal(pre.section->data.begin() + pre.offset + Rest,
                  pre.section->data.begin() + pre.offset + pre.size,
                  post.section->data.begin() + post.offset + Rest))
    return false;
  if (!has_a) return true;
  const Reference x = pre_.resolve(*pre.section, *a), y = post_.resolve(*post.section, *b);
  if (x.atom == nullptr || y.atom == nullptr || x.offset < 0 || y.offset < 0) return false;
  const uint64_t begin = x.atom->entry + x.offset, post_begin = y.atom->entry + y.offset;
  const Section &code = *x.atom->section, &post_code = *y.atom->section;
  const uint64_t length = replacement_length(pre_, pre, code, begin);
  if (!code.is_exec() || !post_code.is_exec() || begin + length > code.data.size() ||
      post_begin + length > post_code.data.size() ||
      length != replacement_length(post_, post, post_code, post_begin))
    return false;
  return same_range(code, begin, begin + length, post_code, post_begin, post_begin + length);
}

bool Comparer::same_entry(const TableEntry& pre, const TableEntry& post) {
  if (pre.size != post.size || pre.section->name != post.section->name) return false;
  if (!same_place(pre.owner_offset, post.owner_offset)) return false;
  if (post.section->name == ".altinstructions") return same_alternative(pre, post);
  return same_content(*pre.section, pre.offset, *post.section, post.offset, post.size,
                      /*skip_first_relocation=*/true);
}

Difference Comparer::special_entries(const Atom& pre, const Atom& post) {
  auto relevant = [](const std::vector<TableEntry>& all) {
    std::vector<TableEntry> result;
    for (const TableEntry& entry : all)
      if (!is_derived_table(entry.section->name)) result.push_back(entry);
    return result;
  };
  const std::vector<TableEntry> a = relevant(pre_tables_.of(&pre));
  const std::vector<TableEntry> b = relevant(post_tables_.of(&post));
  for (size_t i = 0; i < std::max(a.size(), b.size()); ++i) {
    if (i < a.size() && i < b.size() && same_entry(a[i], b[i])) continue;
    const TableEntry& entry = i < b.size() ? b[i] : a[i];
    Difference difference;
    difference.kind = DifferenceKind::Special;
    difference.detail = entry.section->name;
    difference.offset = i < b.size() && entry.owner_offset > 0 ? entry.owner_offset : 0;
    difference.pre_offset = i < a.size() && a[i].owner_offset > 0 ? a[i].owner_offset : 0;
    return difference;
  }
  return {};
}

Difference Comparer::difference_at(const Atom& pre, uint64_t pre_place, const Atom& post,
                                   uint64_t post_place) const {
  Difference difference;
  difference.kind = DifferenceKind::Code;
  difference.pre_offset = pre_place;
  difference.offset = post_place;
  if (failed_constant_ != nullptr) {
    difference.kind = DifferenceKind::Constant;
    difference.detail = constant_text(*failed_constant_);
    difference.before = constant_text(*failed_constant_pre_);
  } else {
    difference.detail = code_text(post_, post, post_place);
    difference.before = code_text(pre_, pre, pre_place);
  }
  return difference;
}

namespace {

// A pointer that is relocated, or a null one.
bool is_pointer(const Section& section, uint64_t place) {
  auto relocation = first_relocation(section, place);
  if (relocation != section.relocations.end() && relocation->offset < place + 8)
    return relocation->offset == place && relocation->type == RelocAddress;
  return section.type != SHT_NOBITS && place + 8 <= section.data.size() &&
         std::all_of(section.data.begin() + place, section.data.begin() + place + 8,
                     [](uint8_t byte) { return byte == 0; });
}

// Bytes that the file has, and that no relocation changes.
bool is_plain(const Section& section, uint64_t place, uint64_t size) {
  if (section.type == SHT_NOBITS || place + size > section.data.size()) return false;
  return std::none_of(
      section.relocations.begin(), section.relocations.end(), [&](const Relocation& relocation) {
        return relocation.offset < place + size &&
               place < relocation.offset + std::max(reloc_size(relocation.type), 1U);
      });
}

// Its bytes may be those of other units, too.
bool is_merged(const Section& section) { return (section.flags & SHF_MERGE) != 0; }

}  // namespace

ChangedPlaces Comparer::changed_places(const Atom& pre, const Atom& post) {
  if (pre.size != post.size) return {};
  if (is_merged(*pre.section) || is_merged(*post.section)) return {};
  for (const Section* section : {pre.section, post.section})
    if (section->name.starts_with(".data..percpu")) return {};          // one for each processor
  if (pre.section->is_write() != post.section->is_write()) return {};   // other memory
  if (leads_inside(pre_, pre) || leads_inside(post_, post)) return {};  // of one body only
  ChangedPlaces places;
  for (uint64_t at = 0; at < pre.size; at += 8) {
    const uint64_t size = std::min<uint64_t>(8, pre.size - at);
    const uint64_t before = pre.offset + at, after = post.offset + at;
    if (same_content(*pre.section, before, *post.section, after, size)) continue;
    if (is_plain(*pre.section, before, size) && is_plain(*post.section, after, size)) {
      for (uint64_t i = 0; i < size; ++i)
        if (pre.section->data[before + i] != post.section->data[after + i])
          places.values.push_back(at + i);
    } else if (size == 8 && before % 8 == 0 && after % 8 == 0 && is_pointer(*pre.section, before) &&
               is_pointer(*post.section, after)) {
      places.pointers.push_back(at);
    } else {
      return {};
    }
  }
  return places;
}

Difference Comparer::data(const Atom& pre, const Atom& post) {
  Difference difference;
  const uint64_t size = std::min(pre.size, post.size);
  failed_at_ = 0;
  start_holder_ = is_init_section(pre.section->name);
  const bool same = same_content(*pre.section, pre.offset, *post.section, post.offset, size);
  if (same && pre.size == post.size) return difference;
  difference.kind = DifferenceKind::Constant;
  difference.detail = post.name;
  difference.offset = difference.pre_offset = same ? size : failed_at_;
  return difference;
}

}  // namespace ksplice
