#include "objdiff/object/atoms.h"

#include <elf.h>
#include <fmt/core.h>

#include <algorithm>
#include <cctype>
#include "objdiff/object/section_rules.h"

namespace ksplice {

namespace {

// A symbol that can name an atom, as against section symbols, file names and mapping labels.
bool names_something(const Symbol& symbol) {
  if (symbol.section == nullptr || symbol.name.empty() || symbol.is_section()) return false;
  if (symbol.type == STT_FILE || symbol.type == STT_TLS) return false;
  return true;
}

bool is_label(const Symbol& symbol) {
  return symbol.name.starts_with(".L") ||
         (symbol.type == STT_NOTYPE && symbol.size == 0 && symbol.bind == STB_LOCAL);
}

// The better primary name of two symbols at one place.
bool better_name(const Symbol* a, const Symbol* b) {
  auto rank = [](const Symbol* symbol) {
    int rank = symbol->type == STT_FUNC || symbol->type == STT_OBJECT ? 4 : 0;
    if (symbol->bind == STB_GLOBAL) rank += 2;
    if (symbol->bind == STB_WEAK) rank += 1;
    return rank;
  };
  if (rank(a) != rank(b)) return rank(a) > rank(b);
  if (a->name.size() != b->name.size()) return a->name.size() < b->name.size();
  return a->name < b->name;
}

// Where the call padding before entry begins: at a __pfx_/__cfi_ symbol, else as far as single-byte
// nops reach. Alignment filling between functions uses long nops or int3 and is not part of it.
uint64_t find_prefix(const Section& section, uint64_t floor, uint64_t entry,
                     const std::vector<const Symbol*>& prefixes) {
  for (const Symbol* symbol : prefixes)
    if (symbol->value >= floor && symbol->value < entry && entry - symbol->value <= MaxCallPadding)
      return symbol->value;
  uint64_t begin = entry;
  while (begin > floor && entry - begin < MaxCallPadding && begin - 1 < section.data.size() &&
         section.data[begin - 1] == FillByte)
    --begin;
  // After another function the filling may end in a single nop or several: a real prefix keeps to
  // multiples of four.
  return floor == 0 ? begin : entry - ((entry - begin) & ~uint64_t{3});
}

bool is_filling(const Section& section, uint64_t begin, uint64_t end) {
  if (section.type == SHT_NOBITS) return true;
  if (section.is_exec()) {
    for (const Instruction& instruction : decode_range(section.data, begin, end))
      if (!instruction.is_padding()) return false;
    return true;
  }
  return std::all_of(section.data.begin() + begin, section.data.begin() + end,
                     [](uint8_t byte) { return byte == 0; });
}

bool has_relocation(const Section& section, uint64_t begin, uint64_t end) {
  auto found =
      std::lower_bound(section.relocations.begin(), section.relocations.end(), begin,
                       [](const Relocation& r, uint64_t offset) { return r.offset < offset; });
  return found != section.relocations.end() && found->offset < end;
}

}  // namespace

Atoms::Atoms(const Object& object) : object_(object) {
  std::unordered_map<const Section*, std::vector<const Symbol*>> symbols;
  for (const auto& symbol : object.symbols)
    if (names_something(*symbol)) symbols[symbol->section].push_back(symbol.get());
  for (const auto& section : object.sections) {
    if (!section->is_alloc() && !section->is_exec()) continue;
    const bool merged = (section->flags & SHF_MERGE) != 0 && section->type != SHT_NOBITS &&
                        section->relocations.empty();
    if (is_special_section(*section))
      add(AtomKind::Special, *section, 0, section->size);
    else if (merged && (section->is_strings() || section->entsize > 0))
      split_merged(*section);
    else
      split(*section, symbols[section.get()]);
    // Symbols of sections that are not split by them (.LC0 in a string section).
    for (const Symbol* symbol : symbols[section.get()])
      if (!by_symbol_.contains(symbol))
        if (const Atom* atom = at(section.get(), symbol->value)) {
          by_symbol_[symbol] = atom;
          const_cast<Atom*>(atom)->aliases.push_back(symbol);
        }
  }
}

Atom& Atoms::add(AtomKind kind, const Section& section, uint64_t begin, uint64_t end) {
  Atom& atom = atoms_.emplace_back();
  atom.kind = kind;
  atom.section = &section;
  atom.offset = atom.entry = begin;
  atom.size = end - begin;
  atom.name =
      kind == AtomKind::Special ? section.name : fmt::format("{}+{:#x}", section.name, begin);
  by_section_[&section].push_back(&atom);
  return atom;
}

void Atoms::split_merged(const Section& section) {
  const uint64_t size = std::min<uint64_t>(section.size, section.data.size());
  if (section.is_strings()) {
    const uint64_t width = std::max<uint64_t>(section.entsize, 1);
    uint64_t begin = 0;
    for (uint64_t at = 0; at + width <= size; at += width) {
      const bool end = std::all_of(section.data.begin() + at, section.data.begin() + at + width,
                                   [](uint8_t byte) { return byte == 0; });
      if (!end) continue;
      add(AtomKind::String, section, begin, at + width);
      begin = at + width;
    }
    if (begin < size) add(AtomKind::String, section, begin, size);
  } else {
    for (uint64_t at = 0; at < size; at += section.entsize)
      add(AtomKind::Constant, section, at, std::min(at + section.entsize, size));
  }
}

void Atoms::add_gap(const Section& section, uint64_t begin, uint64_t end) {
  if (begin >= end) return;
  // Filling between named things is nothing; without any name it can still be referred to.
  const bool whole = begin == 0 && end == section.size;
  if (!whole && !has_relocation(section, begin, end) && is_filling(section, begin, end)) return;
  add(AtomKind::Anonymous, section, begin, end);
}

void Atoms::split(const Section& section, std::vector<const Symbol*> symbols) {
  std::vector<const Symbol*> names, prefixes;
  for (const Symbol* symbol : symbols) {
    if (symbol->value > section.size || (symbol->value == section.size && symbol->size > 0))
      continue;
    if (section.is_exec() && is_call_padding_name(symbol->name)) prefixes.push_back(symbol);
    // An object without a size (an empty lock_class_key) has a section of its own without one.
    else if (!is_label(*symbol) && (symbol->value < section.size || section.size == 0))
      names.push_back(symbol);
  }
  std::sort(names.begin(), names.end(), [](const Symbol* a, const Symbol* b) {
    return a->value != b->value ? a->value < b->value : better_name(a, b);
  });
  uint64_t done = 0;  // end of the last atom
  for (size_t i = 0; i < names.size();) {
    const Symbol* symbol = names[i];
    size_t next = i + 1;
    uint64_t size = symbol->size;
    while (next < names.size() && names[next]->value == symbol->value)
      size = std::max(size, names[next++]->size);
    // A name without a size reaches to the next one.
    uint64_t end = next < names.size() ? names[next]->value : section.size;
    if (size > 0) end = size > section.size - symbol->value ? section.size : symbol->value + size;
    const uint64_t begin =
        section.is_exec() ? find_prefix(section, done, symbol->value, prefixes) : symbol->value;
    add_gap(section, done, begin);
    Atom& atom = add(section.is_exec() ? AtomKind::Function : AtomKind::Data, section, begin, end);
    atom.entry = symbol->value;
    atom.symbol = symbol;
    atom.name = symbol->name;
    by_symbol_[symbol] = &atom;
    for (++i; i < names.size() && names[i]->value < end; ++i) {
      atom.aliases.push_back(names[i]);
      by_symbol_[names[i]] = &atom;
      const uint64_t alias_size = names[i]->size;
      if (alias_size > 0 && alias_size <= section.size - names[i]->value &&
          names[i]->value + alias_size > end) {
        end = names[i]->value + alias_size;  // overlapping objects are one atom
        atom.size = end - begin;
      }
    }
    done = end;
  }
  add_gap(section, done, section.size);
}

const Atom* Atoms::at(const Section* section, uint64_t offset) const {
  auto found = by_section_.find(section);
  if (found == by_section_.end() || found->second.empty()) return nullptr;
  const std::vector<const Atom*>& atoms = found->second;
  auto after =
      std::upper_bound(atoms.begin(), atoms.end(), offset,
                       [](uint64_t value, const Atom* atom) { return value < atom->offset; });
  if (after == atoms.begin()) return nullptr;
  const Atom* atom = *std::prev(after);
  if (offset < atom->end()) return atom;
  // One past the end means the thing that ends there, when nothing begins there.
  return offset == atom->end() ? atom : nullptr;
}

const Atom* Atoms::of(const Symbol* symbol) const {
  auto found = by_symbol_.find(symbol);
  return found == by_symbol_.end() ? nullptr : found->second;
}

std::vector<const Atom*> Atoms::in(const Section* section) const {
  auto found = by_section_.find(section);
  return found == by_section_.end() ? std::vector<const Atom*>() : found->second;
}

std::vector<const Relocation*> Atoms::relocations(const Atom& atom) const {
  const std::vector<Relocation>& all = atom.section->relocations;
  auto it =
      std::lower_bound(all.begin(), all.end(), atom.offset,
                       [](const Relocation& r, uint64_t offset) { return r.offset < offset; });
  std::vector<const Relocation*> result;
  for (; it != all.end() && it->offset < atom.end(); ++it) result.push_back(&*it);
  return result;
}

const CodeMap* Atoms::code(const Section& section) const {
  if (!section.is_exec()) return nullptr;
  auto found = code_.find(&section);
  if (found == code_.end()) found = code_.try_emplace(&section, object_, section).first;
  return &found->second;
}

Reference Atoms::resolve(const Section& from, const Relocation& relocation) const {
  Reference reference;
  reference.pc_relative = reloc_is_pc_relative(relocation.type);
  if (relocation.symbol == nullptr) return reference;
  const Symbol& symbol = *relocation.symbol;
  const int64_t offset =
      reloc_target_offset(relocation, reference.pc_relative ? code(from) : nullptr);
  if (symbol.section == nullptr) {
    reference.symbol = &symbol;
    reference.offset = offset;
    return reference;
  }
  const int64_t place = static_cast<int64_t>(symbol.value) + offset;
  if (!symbol.is_section()) {
    // A named symbol says which thing is meant, wherever the offset leads.
    if (const Atom* atom = of(&symbol)) {
      reference.atom = atom;
      reference.offset = place - static_cast<int64_t>(atom->entry);
      return reference;
    }
  }
  // Just outside its section ("table - 8"): the first or last thing in it is meant.
  const std::vector<const Atom*>* atoms = nullptr;
  if (auto found = by_section_.find(symbol.section); found != by_section_.end())
    if (!found->second.empty()) atoms = &found->second;
  const Atom* atom = nullptr;
  if (place >= 0) atom = at(symbol.section, static_cast<uint64_t>(place));
  if (atom == nullptr && atoms != nullptr && place < 0) atom = atoms->front();
  if (atom == nullptr && atoms != nullptr && static_cast<uint64_t>(place) >= symbol.section->size)
    atom = atoms->back();
  if (atom != nullptr) {
    reference.atom = atom;
    reference.offset = place - static_cast<int64_t>(atom->entry);
  } else {
    reference.symbol = &symbol;
    reference.offset = offset;
  }
  return reference;
}

bool is_special_section(const Section& section) {
  const SectionRule* rule = section_rule(section.name);
  return rule != nullptr && rule->is_whole;
}

std::string plain_name(const std::string& name) {
  std::string plain = name;
  if (size_t llvm = plain.find(".llvm."); llvm != std::string::npos) {
    size_t end = llvm + 6;
    while (end < plain.size() && std::isdigit(static_cast<unsigned char>(plain[end]))) ++end;
    plain.erase(llvm, end - llvm);
  }
  // Drop parts that are only digits: "foo.isra.0.cold", "__key.12".
  std::string result;
  size_t begin = 0;
  while (begin <= plain.size()) {
    size_t end = plain.find('.', begin + (begin == 0 ? 1 : 0));
    if (end == std::string::npos) end = plain.size();
    const std::string_view part = std::string_view(plain).substr(begin, end - begin);
    const bool number =
        begin > 0 && !part.empty() && std::all_of(part.begin(), part.end(), [](char c) {
          return std::isdigit(static_cast<unsigned char>(c)) != 0;
        });
    if (!number) {
      if (begin > 0) result += '.';
      result += part;
    }
    begin = end + 1;
  }
  auto strip_digits = [&result] {
    while (!result.empty() && std::isdigit(static_cast<unsigned char>(result.back())))
      result.pop_back();
    while (!result.empty() && result.back() == '_') result.pop_back();
  };
  if (result.starts_with("__UNIQUE_ID_") || result.starts_with("__unnamed_") ||
      result.starts_with("__compiletime_assert_") || result.starts_with("__BTF_ID__"))
    strip_digits();
  // "__initcall__kmod_tcp_bpf__1097_678_build_proto7": counter and line number go.
  for (std::string_view head : {"__initcall__kmod_", "__initstub__kmod_"}) {
    if (!result.starts_with(head)) continue;
    size_t at = head.size();
    while ((at = result.find("__", at)) != std::string::npos) {
      size_t end = at + 2;
      auto digits = [&result, &end] {
        const size_t start = end;
        while (end < result.size() && std::isdigit(static_cast<unsigned char>(result[end]))) ++end;
        return end > start && end < result.size() && result[end] == '_';
      };
      if (digits() && (++end, digits())) {
        result.erase(at + 1, end - at - 1);
        break;
      }
      at += 2;
    }
  }
  return result;
}

namespace {

// The function of section that covers offset, by symbols alone.
const Symbol* entry_at(const Atoms& atoms, const Section& section, uint64_t offset) {
  const Atom* atom = atoms.at(&section, offset);
  if (atom == nullptr || !atom->is_function() || offset >= atom->end()) return nullptr;
  if (atom->entry == offset) return atom->symbol;
  for (const Symbol* alias : atom->aliases)
    if (alias->value == offset) return alias;
  return atom->symbol;
}

}  // namespace

void normalise(Object& object) {
  const Atoms atoms(object);
  for (const auto& section : object.sections) {
    if (!section->is_exec() || is_special_section(*section)) continue;
    const std::vector<const Atom*> inside = atoms.in(section.get());
    if (inside.size() < 2) continue;
    std::vector<Relocation> added;
    for (const Atom* atom : inside) {
      if (!atom->is_function()) continue;
      for (const Instruction& instruction : decode_range(section->data, atom->entry, atom->end())) {
        if (!instruction.is_branch() || instruction.imm_size == 0) continue;
        if (instruction.imm_size != 4 && instruction.imm_size != 1) continue;
        const uint64_t field = instruction.offset + instruction.imm_offset;
        if (has_relocation(*section, field, field + instruction.imm_size)) continue;
        const int64_t target = instruction.target;
        if (target < 0 || (static_cast<uint64_t>(target) >= atom->offset &&
                           static_cast<uint64_t>(target) < atom->end()))
          continue;
        const Symbol* callee = entry_at(atoms, *section, static_cast<uint64_t>(target));
        if (callee == nullptr) continue;
        Relocation relocation;
        relocation.offset = field;
        relocation.type = branch_reloc(instruction);
        relocation.symbol = const_cast<Symbol*>(callee);
        relocation.addend = target - static_cast<int64_t>(callee->value) - instruction.imm_size;
        added.push_back(relocation);
      }
    }
    for (const Relocation& relocation : added) {
      const unsigned width = reloc_size(relocation.type);
      std::fill_n(section->data.begin() + static_cast<int64_t>(relocation.offset), width, 0);
    }
    section->relocations.insert(section->relocations.end(), added.begin(), added.end());
    std::stable_sort(section->relocations.begin(), section->relocations.end(),
                     [](const Relocation& a, const Relocation& b) { return a.offset < b.offset; });
  }
}

}  // namespace ksplice
