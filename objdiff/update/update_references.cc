// What a reference of new code becomes: see update_object.cc.
#include <elf.h>
#include <fmt/core.h>

#include <algorithm>
#include <cstring>

#include "objdiff/arch/series.h"
#include "objdiff/diff/given_away.h"
#include "objdiff/object/special_tables.h"
#include "objdiff/update/update_builder.h"

namespace ksplice {

std::pair<Symbol*, int64_t> UpdateBuilder::meaning(UnitState& unit, const Section& from,
                                                   const Relocation& relocation) {
  Target target = resolve(unit, from, relocation);
  // The addend counts from where the original symbol was; keep it counting from the same byte.
  int64_t addend = relocation.addend;
  if (target.symbol != nullptr && relocation.symbol->section != nullptr)
    addend += static_cast<int64_t>(relocation.symbol->value) - target.base;
  return {target.symbol, addend};
}

namespace {

// Of an entry of .altinstructions whose replacement relocation names, the site's relocation if the
// replacement is empty, else null. An entry's lengths are its last bytes.
const Relocation* site_without_replacement(const Section& from, const Relocation& relocation) {
  constexpr uint64_t Replacement = 4;
  if (from.name != ".altinstructions") return nullptr;
  const uint64_t size = table_entry_size(from);
  if (find_alternative_layout(size) == nullptr) return nullptr;
  const uint64_t entry = relocation.offset - relocation.offset % size;
  if (relocation.offset != entry + Replacement || from.data.at(entry + size - 1) != 0)
    return nullptr;
  auto site = std::ranges::find(from.relocations, entry, &Relocation::offset);
  return site == from.relocations.end() ? nullptr : &*site;
}

// What ends where the reference leads, if the reference may mean that end. Assemblers write
// section+offset for a local name, and a compiler writes the end of an array for the limit of a
// loop over it.
const Atom* ends_there(const Atoms& atoms, const Section& from, const Relocation& relocation,
                       const Reference& reference) {
  const Atom* atom = reference.atom;
  if (atom == nullptr || !relocation.symbol->is_section() || is_special_section(from) ||
      reference.offset != 0 || atom->offset == 0)
    return nullptr;
  const bool is_gap = atom->kind == AtomKind::Anonymous && atom->section->is_write();
  if (atom->kind != AtomKind::Data && !is_gap) return nullptr;
  const Atom* before = atoms.at(atom->section, atom->offset - 1);
  if (before == nullptr || before->kind != AtomKind::Data || before->end() != atom->offset)
    return nullptr;
  const CodeMap* code = atoms.code(from);
  const Instruction* instruction = code != nullptr ? code->at(relocation.offset) : nullptr;
  if (instruction != nullptr && accesses_address(from.data, *instruction, relocation.offset))
    return nullptr;
  return before;
}

}  // namespace

// Whether the end of one variable and the begin of the next of its section, in post, are one
// address in the running kernel, too.
bool UpdateBuilder::is_one_place(UnitState& unit, const Atom& before, const Atom& atom) const {
  const std::optional<uint64_t> first = run_address(unit, *before.symbol),
                                second = run_address(unit, *atom.symbol);
  if (first && second) return *first + before.size == *second;
  // Where one is not known: the kernel's own link left the unit's section as it is.
  const auto& correlation = unit.unit->diff->correlation;
  auto end = correlation.find(before.symbol), begin = correlation.find(atom.symbol);
  if (end == correlation.end() || begin == correlation.end()) return false;
  const Atom* pre_end = end->second != nullptr ? unit.pre_atoms->of(end->second) : nullptr;
  const Atom* pre_begin = begin->second != nullptr ? unit.pre_atoms->of(begin->second) : nullptr;
  return pre_end != nullptr && pre_begin != nullptr && pre_end->section == pre_begin->section &&
         pre_end->end() == pre_begin->offset;
}

// A reference that may mean the end of one thing or the begin of the next is good where these are
// one address, or an instruction that reads or writes there says which; filling behind a variable
// is its end.
bool UpdateBuilder::refuse_border(UnitState& unit, const Section& from,
                                  const Relocation& relocation, Reference& reference) {
  const Atom* before = ends_there(*unit.atoms, from, relocation, reference);
  if (before == nullptr) return false;
  const Atom& atom = *reference.atom;
  if (atom.kind == AtomKind::Anonymous) {
    reference.atom = before;
    reference.offset = static_cast<int64_t>(before->size);
    return false;
  }
  if (is_one_place(unit, *before, atom)) return false;
  refuse(unit, "unnamed_data", &from, atom.name, relocation.offset,
         fmt::format("the reference at {}+{:#x} means the end of {} or the begin of {}, which the "
                     "object does not "
                     "tell, and with the update these are two addresses",
                     from.name, relocation.offset, before->name, atom.name),
         fmt::format("leave both where they are in {}: declare what the patch adds there without "
                     "the attribute "
                     "that puts it there, and keep what it takes away",
                     atom.section->name));
  return true;
}

Target UpdateBuilder::resolve(UnitState& unit, const Section& from, const Relocation& relocation) {
  // It stands where the next replacement begins, which may be another function's. Nobody reads it:
  // the begin of its own will do.
  if (const Relocation* site = site_without_replacement(from, relocation))
    return {resolve(unit, from, *site).symbol,
            relocation.addend + static_cast<int64_t>(relocation.symbol->value)};
  Reference reference = unit.atoms->resolve(from, relocation);
  if (refuse_border(unit, from, relocation, reference)) return {};
  if (refuse_freed(unit, from, relocation, reference)) return {};
  if (refuse_sealed(unit, from, relocation, reference)) return {};
  if (refuse_read_only_key(unit, from, relocation, reference)) return {};
  need_replaced(unit, from, relocation, reference);
  if (reference.symbol != nullptr) {
    if (reference.symbol->shndx == SHN_ABS) return {absolute_symbol(reference.symbol->name, {}), 0};
    if (std::optional<Target> added = defined_anew(unit, *reference.symbol)) return *added;
    return {undefined_symbol(unit, *reference.symbol), 0};
  }
  if (reference.atom == nullptr) {
    refuse(unit, "unnamed_data", &from, relocation.symbol->name, relocation.offset,
           fmt::format("the reference at {}+{:#x} to {}{:+#x} leads to nothing that is known",
                       from.name, relocation.offset, relocation.symbol->name, relocation.addend),
           "report this with the object file");
    return {};
  }
  const Atom& atom = *reference.atom;
  if (atom.is_function()) {
    // The function's own jumps, jump tables and table entries; everything else means its entry and
    // goes to the run address (see above).
    auto body = unit.placed.find({atom.section, atom.offset});
    const bool in_table = is_special_section(from) && !from.is_exec();
    if (body != unit.placed.end() && (reference.offset != 0 || in_table))
      return {body->second, static_cast<int64_t>(atom.entry)};
    if (reference.offset != 0 && !is_fragment(atom.name)) {
      refuse(unit, "inner_address", &from, atom.name, relocation.offset,
             fmt::format("new code or data at {}+{:#x} leads to {}{:+#x}, the middle of a function "
                         "that is not in the update",
                         from.name, relocation.offset, atom.name, reference.offset),
             "refer to the entry of the function only");
      return {};
    }
    return resolve_function(unit, atom);
  }
  if (atom.kind == AtomKind::Data) return resolve_named_data(unit, &atom, *atom.symbol);
  return resolve_unnamed(unit, atom, reference);
}

// Whether the function or datum at offset in from was already, before the patch, one that refers to
// the symbol.
bool UpdateBuilder::referred_before(const UnitState& unit, const Section& from, uint64_t offset,
                                    const Symbol& symbol, UseKind use) const {
  const std::map<const Symbol*, const Symbol*>& correlation = unit.unit->diff->correlation;
  const Atom* user = unit.atoms->at(&from, offset);
  if (user == nullptr || user->symbol == nullptr) return false;
  auto wanted = correlation.find(&symbol), before = correlation.find(user->symbol);
  if (wanted == correlation.end() || before == correlation.end()) return false;
  const Atom* pre = unit.pre_atoms->of(before->second);
  if (pre == nullptr) return false;
  const CodeMap* code = unit.pre_atoms->code(*pre->section);
  for (const Relocation* relocation : unit.pre_atoms->relocations(*pre)) {
    const Instruction* instruction = code == nullptr ? nullptr : code->at(relocation->offset);
    if (use == UseKind::Address && instruction != nullptr && instruction->is_branch()) continue;
    const Reference reference = unit.pre_atoms->resolve(*pre->section, *relocation);
    if ((reference.atom != nullptr ? reference.atom->symbol : reference.symbol) == wanted->second)
      return true;
  }
  return false;
}

// Where the running target, or the kernel, has it; null if that is not known.
std::pair<const RunImage*, uint64_t> UpdateBuilder::run_place(UnitState& unit,
                                                              const Symbol& symbol) {
  if (std::optional<uint64_t> addr = run_address(unit, symbol)) return {&image_, *addr};
  if (symbol.is_undefined())
    for (const RunImage* image : {&image_, &vmlinux_})
      if (const RunSymbol* global = only_global(*image, symbol.name)) return {image, global->addr};
  return {nullptr, 0};
}

// New code that calls a function which an applied update replaced was compiled for that one's
// parameters and results. Where the code before it called it, too, it was right with the function
// as it was before that update, or that update would have replaced the caller.
void UpdateBuilder::need_replaced(UnitState& unit, const Section& from,
                                  const Relocation& relocation, const Reference& reference) {
  const Symbol* symbol = reference.atom != nullptr ? reference.atom->symbol : reference.symbol;
  if (symbol == nullptr || symbol->shndx == SHN_ABS) return;
  const auto [image, addr] = run_place(unit, *symbol);
  if (image == nullptr) return;
  auto body = image->bodies.find(addr);
  if (body == image->bodies.end() || referred_before(unit, from, relocation.offset, *symbol))
    return;
  needed_.insert(image->owner_of(body->second));
}

// Whether it leads to existing code to which the function or datum did not refer before the patch.
bool UpdateBuilder::is_called_anew(UnitState& unit, const Section& from,
                                   const Relocation& relocation) {
  const Reference reference = unit.atoms->resolve(from, relocation);
  const Symbol* symbol = reference.atom != nullptr ? reference.atom->symbol : reference.symbol;
  if (symbol == nullptr || symbol->shndx == SHN_ABS || is_special_section(from)) return false;
  const auto [image, addr] = run_place(unit, *symbol);
  if (image == nullptr) return false;
  const RunSection* section = image->section_at(addr);
  return section != nullptr && section->is_code() &&
         !referred_before(unit, from, relocation.offset, *symbol);
}

// A function or datum that the patch adds to another unit of this target, or shows to it.
std::optional<Target> UpdateBuilder::defined_anew(const UnitState& user, const Symbol& symbol) {
  auto found = new_globals_.find(symbol.name);
  if (found == new_globals_.end() || found->second.first == &user) return std::nullopt;
  auto [unit, definition] = found->second;
  const Atom* atom = unit->atoms->of(definition);
  // What is only made global is where it was, although it may have left .init.text.
  if (auto addr = run_address(*unit, *definition); addr && image_.is_freed(*addr)) {
    const bool is_code = atom != nullptr && atom->is_function();
    refuse(user, is_code ? "init_code" : "init_data", definition->section, symbol.name, 0,
           fmt::format("new code uses {}, which the running kernel freed after boot", symbol.name),
           "call or copy something that stays; what is freed may be anything by now");
    return Target{};
  }
  if (atom != nullptr && atom->is_function()) return resolve_function(*unit, *atom);
  return resolve_named_data(*unit, atom, *definition);
}

Target UpdateBuilder::resolve_function(UnitState& unit, const Atom& atom) {
  int64_t base = static_cast<int64_t>(atom.entry);
  auto placed = unit.placed.find({atom.section, atom.offset});
  auto found = unit.functions.find(atom.symbol);
  DiffStatus status = found == unit.functions.end() ? DiffStatus::Same : found->second->status;
  // A fragment is only ever reached from its own function, which is included.
  if (is_fragment(atom.name) || status == DiffStatus::New) {
    if (placed != unit.placed.end()) return {placed->second, base};
    if (is_freed_section(atom.section->name)) {
      refuse(unit, "init_code", atom.section, atom.name, 0,
             fmt::format("new code uses {} in {}, which is freed after boot", atom.name,
                         atom.section->name),
             "drop __init or __exit from the new function");
      return {};
    }
    if (status == DiffStatus::New) out_.added.push_back(atom.name);
    return {include_new(unit, atom), base};
  }
  if (refuse_other_callee(unit, atom)) return {};
  std::optional<uint64_t> addr = run_address(unit, *atom.symbol);
  for (size_t i = 0; !addr && i < atom.aliases.size(); ++i)
    addr = run_address(unit, *atom.aliases[i]);
  if (!addr) {
    refuse(unit, "failed_to_find", atom.section, atom.name, 0,
           fmt::format("new code refers to {}, whose address in {} is not known", atom.name,
                       image_.path),
           "check that source and configuration are those of the running kernel");
    return {};
  }
  if (atom.name.rfind("__SCT__", 0) == 0) need_static_call_key(atom.name);
  return {run_symbol(atom.name, *addr), base};
}

// What of the unit is not replaced must be what was compiled, if new code comes to it: the
// compiler took it into account when it made the new code (what it clobbers, which arguments it
// takes, what it writes).
bool UpdateBuilder::refuse_other_callee(UnitState& unit, const Atom& atom) {
  std::vector<const Atom*> queue = {&atom};
  bool refused = false;
  while (!queue.empty()) {
    const Atom& callee = *queue.back();
    queue.pop_back();
    if (!unit.callees.insert(&callee).second) {
      refused = refused || (&callee == &atom && refused_.contains({unit.unit->name, atom.name, 0}));
      continue;
    }
    auto function = unit.functions.find(callee.symbol);
    const bool is_same =
        function == unit.functions.end() || function->second->status == DiffStatus::Same;
    auto partner = unit.unit->diff->correlation.find(callee.symbol);
    if (partner == unit.unit->diff->correlation.end() || partner->second == nullptr) continue;
    const FunctionMatch* match = unit.unit->match->find(partner->second);
    if (match != nullptr && match->status == MatchStatus::Mismatched) {
      refused = true;
      if (!refused_.insert({unit.unit->name, callee.name, 0}).second) continue;
      Refusal refusal = match->refusal;
      refusal.object = unit.unit->name;
      refusal.message =
          fmt::format("new code {} {}: {}", &callee == &atom ? "refers to" : "comes to",
                      callee.name, refusal.message);
      out_.refusals.push_back(refusal);
    }
    // Of a weak one the compiler knows nothing, and what is replaced is looked at by itself.
    if (!is_same || callee.symbol->bind == STB_WEAK) continue;
    for (const Relocation* relocation : unit.atoms->relocations(callee)) {
      const Atom* next = unit.atoms->resolve(*callee.section, *relocation).atom;
      if (next != nullptr && next->is_function() && next->symbol->bind != STB_WEAK)
        queue.push_back(next);
    }
  }
  return refused;
}

Target UpdateBuilder::resolve_named_data(UnitState& unit, const Atom* atom, const Symbol& symbol) {
  auto found = unit.data.find(&symbol);
  DiffStatus status = found == unit.data.end() ? DiffStatus::Same : found->second->status;
  bool is_new = !unit.unit->diff->correlation.contains(&symbol) || status == DiffStatus::New;
  bool is_constant = !symbol.section->is_write();
  bool in_place = found != unit.data.end() && found->second->in_place;
  int64_t base =
      atom != nullptr ? static_cast<int64_t>(atom->entry) : static_cast<int64_t>(symbol.value);
  if (!is_new && !(is_constant && status == DiffStatus::Changed && !in_place)) {
    // An object without a byte (a lock_class_key without lockdep) may be alone in a section that
    // the loader leaves out; all that matters of it is that it has an address.
    bool is_nothing = symbol.section->size == 0 && image_.is_module();
    std::optional<uint64_t> addr = run_address(unit, symbol);
    if (addr && !is_nothing) return {run_symbol(symbol.name, *addr), base};
    // A copy of a constant will do for who only reads it.
    const bool is_known =
        is_constant && atom != nullptr &&
        !find_known_by_address(*unit.unit->post, {{atom->section, atom->offset, atom->end()}})
             .empty();
    if ((!is_constant || is_known) && !is_nothing) {
      refuse(
          unit, "failed_to_find", symbol.section, symbol.name, 0,
          fmt::format("new code refers to {}, whose address in {} is not known", symbol.name,
                      image_.path),
          "nothing in the running code that was matched mentions it; use another way to reach it");
      return {};
    }
  }
  if (is_freed_section(symbol.section->name)) {
    refuse(unit, "init_data", symbol.section, symbol.name, 0,
           fmt::format("new code uses {} in {}, which is freed after boot", symbol.name,
                       symbol.section->name),
           "drop __initdata or __initconst from it");
    return {};
  }
  if (atom != nullptr) {
    if (!is_included(unit, *atom) && is_new) out_.added.push_back(symbol.name);
    return {is_new ? include_new(unit, *atom) : include_atom(unit, *atom), base};
  }
  if (!unit.placed.contains({symbol.section, symbol.value})) out_.added.push_back(symbol.name);
  return {include_piece(unit, *symbol.section, symbol.value, symbol.value + symbol.size,
                        symbol.value, symbol.name, STT_OBJECT),
          base};
}

// Strings, constants, jump tables, replacement code; and named things that live in special
// sections.
Target UpdateBuilder::resolve_unnamed(UnitState& unit, const Atom& atom,
                                      const Reference& reference) {
  const Section& section = *atom.section;
  uint64_t offset = static_cast<uint64_t>(static_cast<int64_t>(atom.entry) + reference.offset);
  if (atom.kind == AtomKind::Special) {
    // __tracepoint_x in __tracepoints, a descriptor in __dyndbg.
    for (const auto& symbol : unit.unit->post->symbols)
      if (symbol->section == &section && !symbol->is_section() && symbol->size != 0 &&
          offset >= symbol->value && offset < symbol->value + symbol->size)
        return resolve_named_data(unit, nullptr, *symbol);
    // The entry of a WARN with arguments, which its code hands over (since 6.19).
    const uint64_t size = section.name == "__bug_table" ? table_entry_size(section) : 0;
    const uint64_t begin = size == 0 ? 0 : offset - offset % size;
    if (size != 0 && begin + size <= section.size) {  // not a last one without its padding
      return {include_piece(unit, section, begin, begin + size, begin, "", STT_SECTION),
              static_cast<int64_t>(begin)};
    }
    if (section
            .is_exec()) {  // .altinstr_aux, .fixup: up to the next place that something refers to
      const std::set<uint64_t>& cuts = unit.cuts[&section];
      auto next = cuts.upper_bound(offset);
      uint64_t end = next == cuts.end() ? section.size : *next;
      return {include_piece(unit, section, offset, end, offset, "", STT_SECTION),
              static_cast<int64_t>(offset)};
    }
  } else if (section.name.starts_with(".data..Lubsan_")) {
    // What UBSAN says of a place, and whether it has: new code brings its own.
    return {include_atom(unit, atom), static_cast<int64_t>(atom.entry)};
  } else if (!section.is_write()) {
    if (Symbol* known = known_text(unit, section, offset))
      return {known, static_cast<int64_t>(offset)};
    return {include_atom(unit, atom), static_cast<int64_t>(atom.entry)};
  }
  refuse(unit, "unnamed_data", &section, atom.name, offset,
         fmt::format("new code refers to {}+{:#x}, data without a name, which cannot be found in "
                     "the running kernel",
                     section.name, offset),
         "give the datum a name of its own");
  return {};
}

// A text that the original code refers to as well is the kernel's own: so a pointer to it that
// somebody keeps stays good after an undo. Null if the kernel has none of that content.
Symbol* UpdateBuilder::known_text(UnitState& unit, const Section& section, uint64_t offset) {
  auto text_at = [](const Section& from, uint64_t at) -> std::optional<std::string> {
    if (!from.is_strings() || from.entsize != 1 || at >= from.data.size()) return std::nullopt;
    auto begin = from.data.begin() + static_cast<int64_t>(at);
    return std::string(begin, std::find(begin, from.data.end(), 0));
  };
  std::optional<std::string> text = text_at(section, offset);
  if (!text) return nullptr;
  if (!unit.has_texts) {
    unit.has_texts = true;
    for (const auto& [place, addr] : unit.unit->match->anonymous)
      if (std::optional<std::string> known = text_at(*place.first, place.second))
        if (!image_.is_freed(addr)) unit.texts.emplace(*known, addr);
  }
  auto found = unit.texts.find(*text);
  if (found == unit.texts.end()) return nullptr;
  return run_symbol(fmt::format("ksplice_text_{:x}", found->second), found->second);
}

std::optional<uint64_t> UpdateBuilder::run_address(UnitState& unit,
                                                   const Symbol& post_symbol) const {
  auto partner = unit.unit->diff->correlation.find(&post_symbol);
  if (partner != unit.unit->diff->correlation.end() && partner->second != nullptr) {
    auto found = unit.unit->match->addresses.find(partner->second);
    if (found != unit.unit->match->addresses.end()) return found->second;
    // Not mentioned by any code that was matched. For what another unit defines, a global name that
    // stands once in the image is enough; for the unit's own things run-pre matching had the last
    // word.
    if (partner->second->section != nullptr) return std::nullopt;
    if (const RunSymbol* only = only_global(image_, partner->second->name)) return only->addr;
  }
  return std::nullopt;
}

}  // namespace ksplice
