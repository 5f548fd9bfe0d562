// Special sections of an update object: which entries belong to included code.
//
//   kept by entry    tables that the module loader processes for a module's own code, and
//                    annotations that objtool reads
//   made again       what objtool derives from code (.orc_*, .retpoline_sites, .static_call_sites):
//                    it runs over the finished update object
//   dropped          what must exist once (exports, tracepoints, initcalls) or is no code
//   refused by name  any other section without symbols that refers to included code
#include <elf.h>
#include <fmt/core.h>

#include <algorithm>
#include <string_view>

#include "objdiff/object/section_rules.h"
#include "objdiff/object/special_tables.h"
#include "objdiff/update/update_builder.h"

namespace ksplice {

namespace {

bool starts_with(const std::string& text, const char* prefix) { return text.rfind(prefix, 0) == 0; }

// For annotations of objtool (.discard.*), whose formats are many: the smallest divisor of the
// section's size for which every entry has relocations of the same types at the same places. 0 if
// there is none.
uint64_t annotation_size(const Section& section) {
  const std::vector<Relocation>& all = section.relocations;
  for (uint64_t size = 4; size <= section.size; size += 4) {
    if (section.size % size != 0) continue;
    size_t per_entry = 0;
    while (per_entry < all.size() && all[per_entry].offset < size) ++per_entry;
    if (per_entry == 0 || all.size() != per_entry * (section.size / size)) continue;
    bool is_regular = true;
    for (size_t i = per_entry; i < all.size() && is_regular; ++i)
      is_regular = all[i].offset == all[i - per_entry].offset + size &&
                   all[i].type == all[i - per_entry].type;
    if (is_regular) return size;
  }
  return 0;
}

}  // namespace

bool UpdateBuilder::is_included_code(UnitState& unit, const Section& from,
                                     const Relocation& relocation) {
  Reference reference = unit.atoms->resolve(from, relocation);
  if (reference.atom == nullptr) return false;
  if (reference.atom->is_function()) return is_included(unit, *reference.atom);
  if (reference.atom->kind != AtomKind::Special || !reference.atom->section->is_exec())
    return false;
  // Replacement code: included if the piece that covers the place is.
  uint64_t offset =
      static_cast<uint64_t>(static_cast<int64_t>(reference.atom->entry) + reference.offset);
  auto piece = unit.placed.upper_bound({reference.atom->section, offset});
  if (piece == unit.placed.begin()) return false;
  --piece;
  return piece->first.first == reference.atom->section && piece->second != nullptr &&
         offset < piece->first.second + piece->second->section->size;
}

bool UpdateBuilder::entry_refers_to_included(UnitState& unit, const Section& section,
                                             uint64_t begin, uint64_t end) {
  auto first = std::lower_bound(
      section.relocations.begin(), section.relocations.end(), begin,
      [](const Relocation& relocation, uint64_t offset) { return relocation.offset < offset; });
  for (; first != section.relocations.end() && first->offset < end; ++first)
    if (is_included_code(unit, section, *first)) return true;
  return false;
}

void UpdateBuilder::add_entries(UnitState& unit, const Section& section, uint64_t size) {
  // An entry belongs to the code that its first field names, the site. Its other fields do not
  // count: an empty replacement starts where the next one does, which may be another function's.
  for (uint64_t begin = 0; begin + size <= section.size; begin += size) {
    auto site = std::lower_bound(
        section.relocations.begin(), section.relocations.end(), begin,
        [](const Relocation& relocation, uint64_t offset) { return relocation.offset < offset; });
    if (site != section.relocations.end() && site->offset < begin + size &&
        is_included_code(unit, section, *site))
      include_piece(unit, section, begin, begin + size, begin, "", STT_SECTION);
  }
}

// Kernels since 6.11 compile `runtime_const_ptr(x)` in built-in code to a load of a dummy, which
// boot code overwrites with the value of x. Nobody does that for a module: there the macro reads x,
// and so does the new code after this. A constant of which the kernel has no variable is refused: a
// kprobe may write over the places in code that hold it, as long as the new code lives.
// Entries are the s32 place-relative addresses of the constants
// (arch/x86/include/asm/runtime-const.h, Linux 6.11).
void UpdateBuilder::rewrite_runtime_pointers(UnitState& unit, const Section& section) {
  const std::string variable = section.name.substr(std::string_view("runtime_ptr_").size());
  for (const Relocation& relocation : section.relocations) {
    if (!is_included_code(unit, section, relocation)) continue;
    Reference reference = unit.atoms->resolve(section, relocation);
    const Atom& atom = *reference.atom;
    uint64_t immediate =
        atom.entry - atom.offset + static_cast<uint64_t>(reference.offset);  // in the piece
    Section* to = unit.placed.at({atom.section, atom.offset})->section;
    if (!runtime_sites_.insert({to, immediate}).second) continue;
    Symbol* symbol = kernel_symbol(variable);
    // dentry_hashtable is static.
    if (const RunSymbol* only = vmlinux_.unique_symbol(variable);
        symbol == nullptr && only && !is_foreign(only->addr) && !vmlinux_.is_freed(only->addr))
      symbol = absolute_symbol(variable, vmlinux_.locate(only->addr));
    std::optional<uint64_t> field =
        symbol != nullptr ? load_from_memory(to->data, immediate) : std::nullopt;
    if (!field) {
      refuse(unit, "unknown_section", &section, atom.name, relocation.offset,
             fmt::format("new code in {} has the runtime constant {}, {}", atom.name, variable,
                         symbol == nullptr ? "of which the kernel has no variable, or more than one"
                                           : "but not in an instruction that loads it"),
             "change the patch to leave this function alone");
      continue;
    }
    to->relocations.push_back({*field, RelocDistance, symbol, -4});
  }
}

void UpdateBuilder::refuse_unknown_section(UnitState& unit, const Section& section) {
  for (const Relocation& relocation : section.relocations) {
    const Atom* holder = unit.atoms->at(&section, relocation.offset);
    if (holder != nullptr && (holder->kind == AtomKind::Data || holder->is_function())) continue;
    if (!is_included_code(unit, section, relocation)) continue;
    Reference reference = unit.atoms->resolve(section, relocation);
    refuse(unit, "unknown_section", &section, reference.atom->name, relocation.offset,
           fmt::format("section {} has an entry for {} and is not one that this tool understands",
                       section.name, reference.atom->name),
           "such code cannot be proven right in a module; change the patch to avoid it, or report "
           "the section's name");
    return;
  }
}

void UpdateBuilder::add_special_sections(UnitState& unit) {
  for (const auto& section : unit.unit->post->sections) {
    if (section->relocations.empty() || section->is_exec()) continue;
    const std::string& name = section->name;
    const SectionRule* rule = section_rule(name);
    const bool has_entries = rule != nullptr && rule->use == SectionUse::Entries;
    bool is_annotation = has_entries && starts_with(name, ".discard.");
    const bool is_constant = starts_with(name, "runtime_");  // known at the kernel's start only
    bool is_kept = has_entries && !is_constant && (is_table(name) || name == "_kprobe_blacklist");
    bool is_dropped = rule != nullptr && !has_entries && rule->use != SectionUse::Content;
    if (is_kept || is_annotation) {
      uint64_t size = is_table(name) ? table_entry_size(*section) : annotation_size(*section);
      if (size != 0 && section->size % size == 0) {
        add_entries(unit, *section, size);
      } else if (entry_refers_to_included(unit, *section, 0, section->size)) {
        refuse(unit, "unknown_section", section.get(), "", 0,
               fmt::format("section {} of {:#x} bytes with {} relocations has no regular entries",
                           name, section->size, section->relocations.size()),
               "report this with the object file");
      }
    } else if (starts_with(name, "runtime_ptr_")) {
      rewrite_runtime_pointers(unit, *section);
    } else if (section->is_alloc() && !is_dropped && !starts_with(name, ".rodata") &&
               !starts_with(name, ".data") && !starts_with(name, ".bss")) {
      refuse_unknown_section(unit, *section);
    }
  }
}

// ksplice-patch.h puts a pointer to each hook into a section of its kind.
void UpdateBuilder::add_hooks(UnitState& unit) {
  for (const auto& section : unit.unit->post->sections) {
    if (!starts_with(section->name, ".ksplice.call_")) continue;
    for (const Relocation& relocation : section->relocations) {
      Target target = resolve(unit, *section, relocation);
      if (target.symbol != nullptr) hooks_[section->name].push_back(target.symbol);
    }
  }
}

}  // namespace ksplice
