// Selects what goes into an update and turns every reference into one of four things:
//
//   a copy in the update    new functions and data, fragments (foo.cold) of included functions,
//                           strings and constants, changed read-only data
//   an undefined symbol     what the kernel or another module exports: the loader resolves, checks
//                           the version and pins it
//   an absolute symbol      every existing function and datum that is not exported; its run
//                           address was proven by run-pre matching, or comes from the one global
//                           symbol of that name. The finalizer fills in the value on the host.
//   a refusal               when none of these can be shown to be right
//
// Calls to functions that are themselves replaced go to the run address too, through ftrace, and
// not straight to the new body: so a later update of the callee is seen by this update's callers,
// and a pointer to a function that outlives an undo never points into freed code.
//
// Example, the tcp_v4_rcv patch of examples/: seed tcp_v4_rcv (changed); its relocations pull in
// its strings and tcp_v4_rcv.cold; kfree_skb_reason and _printk stay undefined (exported);
// tcp_v4_fill_cb (static, same unit) becomes absolute.
#include "objdiff/update/update_object.h"

#include <elf.h>
#include <fmt/core.h>

#include <algorithm>

#include "objdiff/arch/arch.h"
#include "objdiff/update/update_builder.h"

namespace ksplice {

bool is_fragment(const std::string& name) { return name.find(".cold") != std::string::npos; }

std::string cold_parent(const std::string& name) { return name.substr(0, name.find(".cold")); }

namespace {

// Section names in the update object: -ffunction-sections is of no more use there, and a module
// with a section per function costs a sysfs file for each.
std::string merged_name(const Section& section) {
  const std::string& name = section.name;
  auto starts = [&](const char* prefix) { return name.rfind(prefix, 0) == 0; };
  if (starts(".text.unlikely")) return ".text.unlikely";
  if (starts(".text.") || name == ".text") return ".text";
  if (starts(".rodata")) return ".rodata";
  if (starts(".data.rel.ro")) return ".rodata";
  if (starts(".data..")) return name;
  if (starts(".data.") || name == ".data") return ".data";
  if (starts(".bss..")) return name;
  if (starts(".bss.") || name == ".bss") return ".bss";
  return name;
}

// Changed functions cannot live in these; the differ refuses them by name.
bool is_init_section(const std::string& name) {
  return name.rfind(".init", 0) == 0 || name.rfind(".exit", 0) == 0 ||
         name.rfind(".meminit", 0) == 0;
}

// The global symbol of that name, null if there is none or if two differ.
const RunSymbol* only_global(const RunImage& image, const std::string& name) {
  const RunSymbol* only = nullptr;
  for (const RunSymbol* candidate : image.find_symbols(name)) {
    if (!candidate->is_global() || candidate->type == 'U') continue;
    if (only != nullptr && only->addr != candidate->addr) return nullptr;
    only = candidate;
  }
  return only;
}

}  // namespace

UpdateObject make_update_object(const std::vector<Unit>& units, const RunImage& image,
                                const RunImage& vmlinux, const UpdateInfo& info) {
  return UpdateBuilder(image, vmlinux, info).build(units);
}

UpdateObject make_check_object(const std::vector<Unit>& units, const RunImage& image,
                               const RunImage& vmlinux, const UpdateInfo& info) {
  return UpdateBuilder(image, vmlinux, info).build_check(units);
}

UpdateObject UpdateBuilder::build(const std::vector<Unit>& units) {
  for (const Unit& unit : units) add_unit(unit);
  // Seeds first, in all units: whether a special entry is kept depends on what is included.
  for (UnitState& unit : units_) select_seeds(unit);
  drain_queue();
  // Entries bring new pieces (replacement code, keys), and these may bring functions with entries
  // of their own.
  for (size_t before = 0; before != out_.object.sections.size();) {
    before = out_.object.sections.size();
    for (UnitState& unit : units_) add_special_sections(unit);
    drain_queue();
  }
  add_tables();
  return std::move(out_);
}

void UpdateBuilder::refuse(const UnitState& unit, const std::string& code, const Section* section,
                           const std::string& symbol, uint64_t offset, const std::string& message,
                           const std::string& advice) {
  if (!refused_.insert({unit.unit->name, symbol + message, offset}).second) return;
  Refusal refusal;
  refusal.code = code;
  refusal.object = unit.unit->name;
  refusal.section = section != nullptr ? section->name : "";
  refusal.symbol = symbol;
  refusal.offset = offset;
  refusal.message = message;
  refusal.advice = advice;
  out_.refusals.push_back(refusal);
}

Section* UpdateBuilder::new_section(const std::string& name, uint32_t type, uint64_t flags,
                                    uint64_t align) {
  auto section = std::make_unique<Section>();
  section->name = name;
  section->type = type;
  section->flags = flags;
  section->align = align;
  out_.object.sections.push_back(std::move(section));
  return out_.object.sections.back().get();
}

Symbol* UpdateBuilder::new_symbol(const std::string& name, uint8_t bind, uint8_t type,
                                  Section* section, uint64_t value, uint64_t size) {
  auto symbol = std::make_unique<Symbol>();
  symbol->name = name;
  symbol->bind = bind;
  symbol->type = type;
  symbol->section = section;
  symbol->value = value;
  symbol->size = size;
  out_.object.symbols.push_back(std::move(symbol));
  return out_.object.symbols.back().get();
}

Symbol* UpdateBuilder::section_symbol(Section* section) {
  Symbol*& symbol = section_symbols_[section];
  if (symbol == nullptr) symbol = new_symbol("", STB_LOCAL, STT_SECTION, section, 0, 0);
  return symbol;
}

void UpdateBuilder::add_unit(const Unit& unit) {
  UnitState& state = units_.emplace_back();
  state.unit = &unit;
  state.atoms = std::make_unique<Atoms>(*unit.post);
  state.pre_atoms = std::make_unique<Atoms>(*unit.pre);
  for (const FunctionDiff& function : unit.diff->functions)
    if (function.post != nullptr) state.functions[function.post] = &function;
  for (const auto& [symbol, function] : state.functions)
    if (function->status == DiffStatus::New && symbol->bind != STB_LOCAL)
      new_globals_[symbol->name] = {&state, symbol};
  for (const DataDiff& data : unit.diff->data)
    if (data.post != nullptr) state.data[data.post] = &data;
  for (const auto& [symbol, data] : state.data)
    if (data->status == DiffStatus::New && symbol->bind != STB_LOCAL)
      new_globals_[symbol->name] = {&state, symbol};
  for (const auto& section : unit.post->sections)
    for (const Relocation& relocation : section->relocations) {
      Reference reference = state.atoms->resolve(*section, relocation);
      if (reference.atom != nullptr && reference.atom->kind == AtomKind::Special)
        state.cuts[reference.atom->section].insert(
            static_cast<uint64_t>(static_cast<int64_t>(reference.atom->entry) + reference.offset));
    }
}

// Every changed function is replaced: its run code must have been proven, fragments included.
void UpdateBuilder::select_seeds(UnitState& unit) {
  for (const FunctionDiff& function : unit.unit->diff->functions) {
    if (function.status != DiffStatus::Changed || is_fragment(function.name)) continue;
    if (function.pre == nullptr || function.post == nullptr) continue;
    if (is_init_section(function.section)) continue;
    const Atom* atom = unit.atoms->of(function.post);
    const FunctionMatch* match = unit.unit->match->find(function.pre);
    if (match == nullptr || match->status != MatchStatus::Matched) {
      if (match != nullptr && match->status == MatchStatus::Mismatched) {
        Refusal refusal = match->refusal;
        refusal.object = unit.unit->name;
        out_.refusals.push_back(refusal);
      } else {
        refuse(
            unit, "failed_to_find", function.pre->section, function.name, 0,
            fmt::format(
                "the patch changes {}, but {} has no such function{}", function.name, image_.path,
                match != nullptr && !match->reason.empty() ? " (" + match->reason + ")" : ""),
            "check that source and configuration are those of the running kernel");
      }
      continue;
    }
    if (atom == nullptr) continue;
    Symbol* body = include_atom(unit, *atom);
    replaced_.push_back({&unit, &function, match, body});
    out_.replaced.push_back(function.name);
  }
  add_hooks(unit);
  add_switched_pointers(unit);
}

void UpdateBuilder::drain_queue() {
  while (!queue_.empty()) {
    Piece piece = queue_.front();
    queue_.pop_front();
    const std::vector<Relocation>& all = piece.from->relocations;
    auto first = std::lower_bound(
        all.begin(), all.end(), piece.begin,
        [](const Relocation& relocation, uint64_t offset) { return relocation.offset < offset; });
    for (; first != all.end() && first->offset < piece.end; ++first) copy_relocation(piece, *first);
  }
}

std::pair<Symbol*, int64_t> UpdateBuilder::meaning(UnitState& unit, const Section& from,
                                                   const Relocation& relocation) {
  Target target = resolve(unit, from, relocation);
  // The addend counts from where the original symbol was; keep it counting from the same byte.
  int64_t addend = relocation.addend;
  if (target.symbol != nullptr && relocation.symbol->section != nullptr)
    addend += static_cast<int64_t>(relocation.symbol->value) - target.base;
  return {target.symbol, addend};
}

void UpdateBuilder::copy_relocation(const Piece& piece, const Relocation& relocation) {
  auto [symbol, from_base] = meaning(*piece.unit, *piece.from, relocation);
  if (symbol == nullptr) return;  // refused
  // objtool tells jumps within a function and annotations by their section symbols, as the
  // assembler writes them.
  if (symbol->section != nullptr && (relocation.symbol->is_section() || !piece.from->is_exec())) {
    from_base += static_cast<int64_t>(symbol->value);
    symbol = section_symbol(symbol->section);
  }
  if ((piece.from->flags & SHF_LINK_ORDER) != 0 && symbol->section != nullptr) {
    piece.to->flags |= SHF_LINK_ORDER;
    piece.to->link = symbol->section;
  }
  piece.to->relocations.push_back(
      {relocation.offset - piece.begin, relocation.type, symbol, from_base});
}

Target UpdateBuilder::resolve(UnitState& unit, const Section& from, const Relocation& relocation) {
  Reference reference = unit.atoms->resolve(from, relocation);
  if (refuse_freed(unit, from, relocation, reference)) return {};
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
    if (body != unit.placed.end() && (reference.offset != 0 || is_special_section(from)))
      return {body->second, static_cast<int64_t>(atom.entry)};
    return resolve_function(unit, atom);
  }
  if (atom.kind == AtomKind::Data) return resolve_named_data(unit, &atom, *atom.symbol);
  return resolve_unnamed(unit, atom, reference);
}

// Whether the function or datum at offset in from was already, before the patch, one that refers to
// the symbol.
bool UpdateBuilder::referred_before(const UnitState& unit, const Section& from, uint64_t offset,
                                    const Symbol& symbol) const {
  const std::map<const Symbol*, const Symbol*>& correlation = unit.unit->diff->correlation;
  const Atom* user = unit.atoms->at(&from, offset);
  if (user == nullptr || user->symbol == nullptr) return false;
  auto wanted = correlation.find(&symbol), before = correlation.find(user->symbol);
  if (wanted == correlation.end() || before == correlation.end()) return false;
  const Atom* pre = unit.pre_atoms->of(before->second);
  if (pre == nullptr) return false;
  for (const Relocation* relocation : unit.pre_atoms->relocations(*pre)) {
    const Reference reference = unit.pre_atoms->resolve(*pre->section, *relocation);
    if ((reference.atom != nullptr ? reference.atom->symbol : reference.symbol) == wanted->second)
      return true;
  }
  return false;
}

// Existing code and data that are freed after the start. A function that refers to them already
// (__ref: it looks first whether they are still there) may go on doing so.
bool UpdateBuilder::refuse_freed(UnitState& unit, const Section& from, const Relocation& relocation,
                                 const Reference& reference) {
  const Symbol* symbol = reference.atom != nullptr ? reference.atom->symbol : reference.symbol;
  if (symbol == nullptr || symbol->shndx == SHN_ABS) return false;
  const RunImage* image = &image_;
  std::optional<uint64_t> addr = run_address(unit, *symbol);
  if (!addr && symbol->is_undefined())
    for (const RunImage* each : {&image_, &vmlinux_})
      if (const RunSymbol* global = addr ? nullptr : only_global(*each, symbol->name)) {
        image = each;
        addr = global->addr;
      }
  if (!addr || !image->is_freed(*addr)) return false;
  if (referred_before(unit, from, relocation.offset, *symbol)) return false;
  const RunSection* section = image->section_at(*addr);
  refuse(unit, section->exec ? "init_code" : "init_data", &from, symbol->name, relocation.offset,
         fmt::format("new code in {} uses {} in {}, which is freed after boot", from.name,
                     symbol->name, section->name),
         "call or copy something that stays; what is freed may be anything by now");
  return true;
}

// A function or datum that the patch adds to another unit of this target.
std::optional<Target> UpdateBuilder::defined_anew(const UnitState& user, const Symbol& symbol) {
  auto found = new_globals_.find(symbol.name);
  if (found == new_globals_.end() || found->second.first == &user) return std::nullopt;
  auto [unit, definition] = found->second;
  const Atom* atom = unit->atoms->of(definition);
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
    if (is_init_section(atom.section->name)) {
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

// A function of the unit that is not replaced must be the one that was compiled: the compiler took
// it into account when it made the new code (what it clobbers, which arguments it takes).
bool UpdateBuilder::refuse_other_callee(UnitState& unit, const Atom& atom) {
  auto partner = unit.unit->diff->correlation.find(atom.symbol);
  if (partner == unit.unit->diff->correlation.end() || partner->second == nullptr) return false;
  const FunctionMatch* match = unit.unit->match->find(partner->second);
  if (match == nullptr || match->status != MatchStatus::Mismatched) return false;
  if (!refused_.insert({unit.unit->name, atom.name, 0}).second) return true;
  Refusal refusal = match->refusal;
  refusal.object = unit.unit->name;
  refusal.message = "new code refers to " + atom.name + ": " + refusal.message;
  out_.refusals.push_back(refusal);
  return true;
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
    if (!is_constant && !is_nothing) {
      refuse(
          unit, "failed_to_find", symbol.section, symbol.name, 0,
          fmt::format("new code refers to {}, whose address in {} is not known", symbol.name,
                      image_.path),
          "nothing in the running code that was matched mentions it; use another way to reach it");
      return {};
    }
  }
  if (is_init_section(symbol.section->name)) {
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
    if (section
            .is_exec()) {  // .altinstr_aux, .fixup: up to the next place that something refers to
      const std::set<uint64_t>& cuts = unit.cuts[&section];
      auto next = cuts.upper_bound(offset);
      uint64_t end = next == cuts.end() ? section.size : *next;
      return {include_piece(unit, section, offset, end, offset, "", STT_SECTION),
              static_cast<int64_t>(offset)};
    }
  } else if (!section.is_write()) {
    return {include_atom(unit, atom), static_cast<int64_t>(atom.entry)};
  }
  refuse(unit, "unnamed_data", &section, atom.name, offset,
         fmt::format("new code refers to {}+{:#x}, data without a name, which cannot be found in "
                     "the running kernel",
                     section.name, offset),
         "give the datum a name of its own");
  return {};
}

std::optional<uint64_t> UpdateBuilder::run_address(UnitState& unit,
                                                   const Symbol& post_symbol) const {
  auto partner = unit.unit->diff->correlation.find(&post_symbol);
  if (partner != unit.unit->diff->correlation.end() && partner->second != nullptr) {
    auto found = unit.unit->match->addresses.find(partner->second);
    if (found != unit.unit->match->addresses.end()) return found->second;
    // Not mentioned by any code that was matched. For what another unit defines, a name that stands
    // once in the image is enough; for the unit's own things run-pre matching had the last word.
    if (partner->second->section != nullptr) return std::nullopt;
    if (const RunSymbol* only = image_.unique_symbol(partner->second->name)) return only->addr;
  }
  return std::nullopt;
}

Symbol* UpdateBuilder::import_symbol(const Symbol& like) {
  Symbol*& symbol = undefined_[like.name];
  if (symbol == nullptr)
    symbol = new_symbol(like.name, like.bind == STB_WEAK ? STB_WEAK : STB_GLOBAL, STT_NOTYPE,
                        nullptr, 0, 0);
  return symbol;
}

// struct module of the target. The update module has a __this_module of its own.
Symbol* UpdateBuilder::target_module_symbol() {
  return absolute_symbol("ksplice_target_module", {.target = image_.target,
                                                   .section = ".gnu.linkonce.this_module",
                                                   .import = "",
                                                   .offset = 0,
                                                   .percpu = false});
}

// What vmlinux has under a global name: an import if it is exported, otherwise absolute. Null if
// there is none, or more than one.
Symbol* UpdateBuilder::kernel_symbol(const std::string& name) {
  if (vmlinux_.exports.contains(name)) {
    Symbol like;
    like.name = name;
    like.bind = STB_GLOBAL;
    return import_symbol(like);
  }
  const RunSymbol* global = only_global(vmlinux_, name);
  if (global == nullptr || is_foreign(global->addr)) return nullptr;
  return absolute_symbol(name, vmlinux_.locate(global->addr));
}

Symbol* UpdateBuilder::undefined_symbol(UnitState& unit, const Symbol& symbol) {
  const std::string& name = symbol.name;
  // Shadow variables (ksplice-patch.h): the core exports them.
  if (name.rfind("ksplice_shadow_", 0) == 0) return import_symbol(symbol);
  if (image_.is_module() && name == "__this_module") return target_module_symbol();
  if (name.rfind("__SCT__", 0) == 0) need_static_call_key(name);
  if (image_.is_module()) {
    if (const RunSymbol* own = only_global(image_, name)) return run_symbol(name, own->addr);
    return import_symbol(symbol);  // modpost checks that somebody exports it
  }
  if (vmlinux_.exports.contains(name)) return import_symbol(symbol);
  if (std::optional<uint64_t> addr = run_address(unit, symbol)) return run_symbol(name, *addr);
  if (Symbol* global = kernel_symbol(name)) return global;
  if (symbol.bind == STB_WEAK) return import_symbol(symbol);
  refuse(unit, "failed_to_find", nullptr, name, 0,
         fmt::format("new code refers to {}, which {} does not have", name, vmlinux_.path),
         "the kernel was built without it: change the patch, or check the configuration");
  return nullptr;
}

// A static call site is patched through its key, and objtool looks the key up by name.
void UpdateBuilder::need_static_call_key(const std::string& trampoline) {
  std::string key = "__SCK__" + trampoline.substr(7);
  if (image_.is_module())
    if (const RunSymbol* own = image_.unique_symbol(key)) {
      run_symbol(key, own->addr);
      return;
    }
  // A key that only another module has stays unknown: objtool then falls back to the trampoline.
  if (vmlinux_.exports.contains(key))
    kernel_symbol(key);
  else if (const RunSymbol* only = vmlinux_.unique_symbol(key); only && !is_foreign(only->addr))
    absolute_symbol(key, vmlinux_.locate(only->addr));
}

// The absolute symbol of that meaning; its name is made unique among the absolute ones.
Symbol* UpdateBuilder::absolute_symbol(const std::string& name, const RunLocation& location) {
  Symbol*& symbol = absolute_[{location.target, location.section, location.import, location.offset,
                               location.percpu}];
  if (symbol != nullptr) return symbol;
  std::string unique = name;
  for (int number = 1; absolute_names_.contains(unique) || undefined_.contains(unique); ++number)
    unique = fmt::format("{}..{}", name, number);
  absolute_names_.insert(unique);
  symbol = new_symbol(unique, STB_GLOBAL, STT_NOTYPE, nullptr, 0, 0);
  symbol->shndx = SHN_ABS;
  if (!location.target.empty()) out_.finalization.symbols.push_back({unique, location});
  return symbol;
}

Symbol* UpdateBuilder::run_symbol(const std::string& name, uint64_t addr) {
  RunLocation location = image_.locate(addr);
  if (!location.import.empty() && location.offset == 0) {
    Symbol like;
    like.name = location.import;
    like.bind = STB_GLOBAL;
    return import_symbol(like);
  }
  return absolute_symbol(name, location);
}

// A branch that the assembler resolved within a shared section leads elsewhere once its function is
// taken out. normalise() gives such branches relocations; short ones cannot reach the kernel.
void UpdateBuilder::refuse_loose_branches(const UnitState& unit, const Section& from,
                                          uint64_t begin, uint64_t end, const std::string& name) {
  auto relocation = from.relocations.begin();
  for (const Instruction& instruction : decode_range(from.data, begin, end)) {
    if (!instruction.is_branch()) continue;
    uint64_t field = instruction.offset + instruction.imm_offset;
    while (relocation != from.relocations.end() && relocation->offset < field) ++relocation;
    bool is_relocated = relocation != from.relocations.end() && relocation->offset == field;
    if (is_relocated && instruction.imm_size == 4) continue;
    uint64_t target = static_cast<uint64_t>(instruction.target);
    if (!is_relocated && target >= begin && target <= end) continue;
    refuse(unit, "unresolved_branch", &from, name, instruction.offset - begin,
           fmt::format("a {} branch at {}+{:#x} leads out of {}, and cannot be made to reach the "
                       "running kernel",
                       is_relocated ? "short" : "resolved", from.name, instruction.offset, name),
           "the assembler joined it with its neighbour in that section; change the patch so that "
           "the function is not in the update");
  }
}

Symbol* UpdateBuilder::include_atom(UnitState& unit, const Atom& atom) {
  uint8_t type = atom.is_function()            ? STT_FUNC
                 : atom.kind == AtomKind::Data ? STT_OBJECT
                                               : STT_SECTION;
  return include_piece(unit, *atom.section, atom.offset, atom.end(), atom.entry, atom.name, type);
}

// What is new and global is found by its name when a later update is made on top of this one.
Symbol* UpdateBuilder::include_new(UnitState& unit, const Atom& atom) {
  Symbol* symbol = include_atom(unit, atom);
  if (!symbol->is_section() && atom.symbol != nullptr && atom.symbol->bind == STB_GLOBAL &&
      !is_fragment(atom.name))
    symbol->bind = STB_GLOBAL;
  return symbol;
}

Symbol* UpdateBuilder::include_piece(UnitState& unit, const Section& from, uint64_t begin,
                                     uint64_t end, uint64_t entry, const std::string& name,
                                     uint8_t type) {
  Symbol*& symbol = unit.placed[{&from, begin}];
  if (symbol != nullptr) return symbol;
  // A merged string may stand alone at any address; merging again is of no use.
  constexpr uint64_t Kept = SHF_ALLOC | SHF_WRITE | SHF_EXECINSTR;
  Section* to = new_section(merged_name(from), from.type, from.flags & Kept, from.align);
  to->size = end - begin;
  if (from.type != SHT_NOBITS)
    to->data.assign(from.data.begin() + static_cast<int64_t>(begin),
                    from.data.begin() + static_cast<int64_t>(end));
  // Things without a name of their own get a section symbol, to keep kallsyms readable.
  symbol = type == STT_SECTION ? section_symbol(to)
                               : new_symbol(name, STB_LOCAL, type, to, entry - begin, end - entry);
  queue_.push_back({&unit, &from, begin, end, to});
  if (from.is_exec()) refuse_loose_branches(unit, from, begin, end, name);
  Symbol* result = symbol;
  // A function and its fragments travel together, whichever was reached first.
  if (type == STT_FUNC && is_fragment(name))
    for (const auto& parent : unit.unit->post->symbols)
      if (parent->is_function() && parent->name == cold_parent(name))
        if (const Atom* atom = unit.atoms->of(parent.get())) include_atom(unit, *atom);
  return result;
}

}  // namespace ksplice
