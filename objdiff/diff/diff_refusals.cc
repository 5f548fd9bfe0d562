#include "objdiff/diff/diff_refusals.h"

#include <elf.h>
#include <fmt/core.h>

#include <algorithm>
#include <set>
#include <tuple>

#include "objdiff/diff/aliases.h"
#include "objdiff/diff/code_tables.h"
#include "objdiff/diff/diff_start.h"
#include "objdiff/diff/judge.h"
#include "objdiff/diff/old_code.h"
#include "objdiff/object/section_rules.h"

namespace ksplice {

namespace {

// What runs at which point of the start.
void judge_initcalls(Judgement& j) {
  auto list = [](const Atoms& atoms) {
    std::multiset<std::pair<std::string, std::string>> calls;
    for (const auto& section : atoms.object().sections) {
      if (!section->name.starts_with(".initcall") && !section->name.starts_with(".con_initcall"))
        continue;
      for (const Relocation& relocation : section->relocations) {
        const Reference reference = atoms.resolve(*section, relocation);
        if (reference.atom != nullptr)
          calls.emplace(section->name, plain_name(reference.atom->name));
      }
    }
    return calls;
  };
  const auto pre = list(j.context.pre), post = list(j.context.post);
  for (const auto& [section, name] : post)
    if (!pre.contains({section, name}))
      j.refuse("init_changed", section, name,
               fmt::format("{} became an initcall of {}; these have run already", name, section),
               "call what is needed from a ksplice_apply hook");
  for (const auto& [section, name] : pre)
    if (!post.contains({section, name}))
      j.refuse("init_changed", section, name,
               fmt::format("{} is no longer an initcall of {}, but has run already", name, section),
               "undo what it did in a ksplice_apply hook");
}

void judge_tables(Judgement& j) {
  for (const Refusal& refusal : j.context.post_tables.refusals())
    if (!j.included.empty()) j.refusals.push_back(refusal);
}

void judge_unknown_sections(Judgement& j) {
  for (const auto& section : j.context.post.object().sections) {
    if (!section->is_alloc() || section->is_exec() || section_rule(section->name) != nullptr)
      continue;
    for (const Relocation& relocation : section->relocations) {
      const Reference reference = j.context.post.resolve(*section, relocation);
      if (reference.atom == nullptr || !j.included.contains(reference.atom)) continue;
      const Atom* holder = j.context.post.at(section.get(), relocation.offset);
      const Atom* holder_pre = holder == nullptr ? nullptr : j.context.correlation.pre(holder);
      // Existing data that names the function's entry is served by the redirection.
      if (holder_pre != nullptr && reference.offset == 0 && !j.changed_data.contains(holder) &&
          j.context.correlation.pre(reference.atom) != nullptr)
        continue;
      Refusal& refusal = j.refuse(
          "unknown_section", section->name,
          holder != nullptr && holder->symbol != nullptr ? holder->name : reference.atom->name,
          fmt::format("section {} refers to {}+{:#x} and its meaning is not known", section->name,
                      reference.atom->name, reference.offset),
          "leave what it registers out of the patch, or report the section");
      refusal.offset = holder != nullptr && holder->symbol != nullptr
                           ? relocation.offset - holder->offset
                           : static_cast<uint64_t>(std::max<int64_t>(reference.offset, 0));
      refusal.found = reference.atom->name;
      break;
    }
  }
}

}  // namespace

Judgement::Judgement(const DiffContext& context) : context(context) {
  for (const FunctionDiff& function : context.diff.functions)
    if (function.post != nullptr && function.status != DiffStatus::Same)
      included.insert(context.post.of(function.post));
  for (const DataDiff& data : context.diff.data)
    if (data.post != nullptr && data.status == DiffStatus::Changed)
      changed_data.insert(context.post.of(data.post));
}

Refusal& Judgement::refuse(std::string code, std::string section, std::string symbol,
                           std::string message, std::string advice) {
  Refusal& refusal = refusals.emplace_back();
  refusal.code = std::move(code);
  refusal.object = context.post.object().path;
  refusal.section = std::move(section);
  refusal.symbol = std::move(symbol);
  refusal.message = std::move(message);
  refusal.advice = std::move(advice);
  return refusal;
}

const char* verb(DiffStatus status) {
  switch (status) {
    case DiffStatus::New:
      return "is new";
    case DiffStatus::Removed:
      return "is gone";
    default:
      return "changed";
  }
}

bool is_assembly(const Object& object, const DebugInfo& debug) {
  if (debug.present()) return debug.is_assembly();
  // Compilers name the source file and leave their own name; the assembler does neither.
  if (object.find_section(".comment") != nullptr) return false;
  for (const auto& symbol : object.symbols)
    if (symbol->type == STT_FILE) return false;
  return true;
}

bool refers_to_code(const Atoms& atoms, const Atom& atom) {
  for (const Relocation* relocation : atoms.relocations(atom)) {
    const Reference reference = atoms.resolve(*atom.section, *relocation);
    if (reference.atom != nullptr && reference.atom->is_function()) return true;
    // What an undefined symbol is, the object does not say: with doubt, a function.
    if (reference.atom == nullptr) return true;
  }
  return false;
}

bool is_init_section(const std::string& name) {
  const SectionRule* rule = section_rule(name);
  return rule != nullptr && rule->use == SectionUse::Start;
}

Findings find_refusals(const DiffContext& context) {
  Judgement j(context);
  judge_functions(j);
  judge_data(j);
  judge_state(j);
  judge_initcalls(j);
  judge_unknown_sections(j);
  judge_sections(j);
  judge_btf_ids(j);
  judge_types(j);
  judge_exports(j);
  judge_old_code(j);
  judge_tables(j);
  judge_static_keys(j);
  for (auto find : {find_start_refusals, find_inner_addresses, find_alias_changes})
    for (Refusal& refusal : find(context)) j.refusals.push_back(std::move(refusal));
  std::stable_sort(j.refusals.begin(), j.refusals.end(), [](const Refusal& a, const Refusal& b) {
    return std::tie(a.code, a.section, a.symbol, a.offset) <
           std::tie(b.code, b.section, b.symbol, b.offset);
  });
  std::sort(j.notes.begin(), j.notes.end());
  j.notes.erase(std::unique(j.notes.begin(), j.notes.end()), j.notes.end());
  return {std::move(j.refusals), std::move(j.notes), std::move(j.reshaped), std::move(j.misled),
          std::move(j.start_only)};
}

}  // namespace ksplice
