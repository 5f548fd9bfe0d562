#include "objdiff/diff/code_tables.h"

#include <fmt/core.h>

#include <optional>

#include "objdiff/arch/registers.h"
#include "objdiff/diff/compare.h"
#include "objdiff/diff/correlate.h"
#include "objdiff/diff/diff_refusals.h"

namespace ksplice {

namespace {

// "f" for the code of f and of f.cold.
std::string whole_function(const Atom& code) {
  const std::string parent = fragment_parent(code.name);
  return parent.empty() ? code.name : parent;
}

// Whether the instruction with the field at offset reads memory there, as against taking the
// address: lea, or an immediate.
bool reads_from(const Atoms& atoms, const Section& code, uint64_t offset) {
  const Instruction* instruction = atoms.code(code)->at(offset);
  if (instruction == nullptr || instruction->disp_size != 4 ||
      offset != instruction->offset + instruction->disp_offset)
    return false;
  if (instruction->kind == InstructionKind::IndirectCall ||
      instruction->kind == InstructionKind::IndirectJump)
    return true;
  const std::optional<RegisterUse> use = register_use(code.data, *instruction);
  return use && !use->is_address;
}

}  // namespace

bool leads_inside(const Reference& reference) {
  return reference.atom != nullptr && reference.atom->is_function() &&
         (reference.offset != 0 || !fragment_parent(reference.atom->name).empty());
}

bool leads_inside(const Atoms& atoms, const Atom& atom) {
  for (const Relocation* relocation : atoms.relocations(atom))
    if (leads_inside(atoms.resolve(*atom.section, *relocation))) return true;
  return false;
}

CodeTables::CodeTables(const Atoms& atoms) {
  for (const Atom& atom : atoms.all())
    if (is_local_constant(atom) && refers_to_code(atoms, atom)) private_.insert(&atom);
  if (private_.empty()) return;
  std::map<const Atom*, std::set<std::string>> functions;  // that read it or that it leads into
  for (const auto& section : atoms.object().sections) {
    if (!section->is_alloc()) continue;
    for (const Relocation& relocation : section->relocations) {
      const Atom* table = atoms.resolve(*section, relocation).atom;
      if (!private_.contains(table)) continue;
      const Atom* user = atoms.at(section.get(), relocation.offset);
      if (user == nullptr || !user->is_function() ||
          !reads_from(atoms, *section, relocation.offset))
        private_.erase(table);
      else
        functions[table].insert(whole_function(*user));
    }
  }
  for (const Atom* table : private_) {
    bool inside = false;
    for (const Relocation* relocation : atoms.relocations(*table)) {
      const Reference reference = atoms.resolve(*table->section, *relocation);
      if (!leads_inside(reference)) continue;
      inside = true;
      functions[table].insert(whole_function(*reference.atom));
    }
    if (inside && functions[table].size() == 1) owners_[table] = *functions[table].begin();
  }
}

std::string CodeTables::owner(const Atom& table) const {
  auto found = owners_.find(&table);
  return found == owners_.end() ? "" : found->second;
}

std::vector<Refusal> find_inner_addresses(const DiffContext& c) {
  std::map<const Atom*, std::string> replaced;  // of pre
  for (const FunctionDiff& function : c.diff.functions)
    if (function.post != nullptr && function.status != DiffStatus::Same)
      if (const Atom* pre = c.correlation.pre(c.post.of(function.post)))
        replaced[pre] = whole_function(*pre);
  std::set<const Symbol*> settled;
  for (const DataDiff& data : c.diff.data)
    if (data.brought) settled.insert(data.pre);
  std::vector<Refusal> refusals;
  for (const auto& section : c.pre.object().sections) {
    if (!section->is_alloc() || is_special_section(*section) || is_table(section->name)) continue;
    for (const Relocation& relocation : section->relocations) {
      const Reference reference = c.pre.resolve(*section, relocation);
      if (!leads_inside(reference) || !replaced.contains(reference.atom)) continue;
      const Atom* holder = c.pre.at(section.get(), relocation.offset);
      if (holder == nullptr || holder->symbol == nullptr) continue;  // a switch table
      if (replaced.contains(holder) || whole_function(*holder) == replaced[reference.atom])
        continue;
      if (c.correlation.post(holder) == nullptr || !settled.insert(holder->symbol).second) continue;
      Refusal& refusal = refusals.emplace_back();
      refusal.code = "inner_address";
      refusal.object = c.post.object().path;
      refusal.section = section->name;
      refusal.symbol = holder->name;
      refusal.offset = relocation.offset - holder->entry;
      refusal.message = fmt::format(
          "{}+{:#x} leads to {}+{:#x}, inside a function that is replaced: it would go on leading "
          "into the old code",
          holder->name, refusal.offset, reference.atom->name, reference.offset);
      refusal.advice = "leave the function as it is, or patch those that use the address, too";
    }
  }
  return refusals;
}

}  // namespace ksplice
