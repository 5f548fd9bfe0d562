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

#include "kmod-core/ksplice_abi.h"
#include "objdiff/arch/arch.h"
#include "objdiff/update/update_builder.h"

namespace ksplice {

bool is_fragment(const std::string& name) { return name.find(".cold") != std::string::npos; }

std::string cold_parent(const std::string& name) { return name.substr(0, name.find(".cold")); }

bool is_freed_section(const std::string& name) {
  return name.rfind(".init", 0) == 0 || name.rfind(".exit", 0) == 0 ||
         name.rfind(".meminit", 0) == 0;
}

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
  include_wanted();
  drain_queue();
  // Entries bring new pieces (replacement code, keys), and these may bring functions with entries
  // of their own.
  for (size_t before = 0; before != out_.object.sections.size();) {
    before = out_.object.sections.size();
    for (UnitState& unit : units_) add_special_sections(unit);
    drain_queue();
  }
  note_given_away();
  note_uses();
  add_tables();
  return std::move(out_);
}

// What only the new code of other targets uses.
void UpdateBuilder::include_wanted() {
  for (const WantedByOther& wanted : info_.wanted) {
    auto found = new_globals_.find(wanted.name);
    if (!wanted.is_new || found == new_globals_.end()) continue;
    auto [unit, definition] = found->second;
    const Atom* atom = unit->atoms->of(definition);
    if (atom != nullptr && atom->is_function())
      resolve_function(*unit, *atom);
    else
      resolve_named_data(*unit, atom, *definition);
  }
}

void UpdateBuilder::note_given_away() {
  for (GivenAway& away : find_given_away(out_.object)) out_.given_away.push_back(std::move(away));
  for (const WantedByOther& wanted : info_.wanted)
    if (wanted.stays)
      out_.given_away.push_back({wanted.name, wanted.user, 0, "is used by what may stay"});
  bool is_declared = false;
  for (const UnitState& unit : units_)
    is_declared =
        is_declared || unit.unit->post->find_section(KSPLICE_ADDRESSES_REMOVED) != nullptr;
  static const char* const HookSections[] = KSPLICE_HOOK_SECTIONS;
  const bool takes_back = hooks_.contains(HookSections[KSPLICE_HOOK_PRE_REVERSE]) ||
                          hooks_.contains(HookSections[KSPLICE_HOOK_REVERSE]) ||
                          hooks_.contains(HookSections[KSPLICE_HOOK_POST_REVERSE]);
  // Hooks take back what their own target gave away. What another one goes on calling stays.
  const bool is_wanted = std::any_of(info_.wanted.begin(), info_.wanted.end(),
                                     [](const WantedByOther& each) { return each.stays; });
  out_.addresses_removed = is_declared && takes_back && !is_wanted;
}

// Whoever only calls it is on a stack meanwhile, and an undo sees that.
void UpdateBuilder::note_uses() {
  for (const auto& [name, symbol] : used_neighbours_) {
    const Neighbour& other = info_.neighbours.at(name);
    const bool is_of_kernel = other.existing && other.target == "vmlinux";
    NeighbourUse use{name, is_of_kernel ? "" : other.module, !other.existing, true};
    for (const auto& section : out_.object.sections) {
      const CodeMap code(out_.object, *section);
      for (const Relocation& relocation : section->relocations) {
        if (relocation.symbol != symbol) continue;
        const Instruction* instruction = section->is_exec() ? code.at(relocation.offset) : nullptr;
        if (instruction == nullptr || !instruction->is_branch()) use.only_called = false;
      }
    }
    if (other.call_only && !use.only_called)
      refuse(
          units_.front(), "sealed_function", nullptr, name, 0,
          fmt::format("new code or data of {} takes the address of {} of {}, which has no landing "
                      "pad for it: a call through it would be a trap where the processor has "
                      "indirect branch tracking",
                      image_.target, name, other.target),
          "let it lead to a new function that calls this one");
    out_.uses.push_back(std::move(use));
  }
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
  for (const auto& [post, pre] : unit.diff->correlation)
    if (post->section != nullptr && pre->section != nullptr && is_made_global(*pre, *post))
      new_globals_[post->name] = {&state, post};
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
    if (is_freed_section(function.section)) continue;
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
  add_switched_places(unit);
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

void UpdateBuilder::copy_relocation(const Piece& piece, const Relocation& relocation) {
  auto [symbol, from_base] = meaning(*piece.unit, *piece.from, relocation);
  if (symbol == nullptr) return;  // refused
  if (symbol->section == nullptr && is_called_anew(*piece.unit, *piece.from, relocation))
    callees_.emplace(symbol->name, symbol);
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
