#include "objdiff/diff/aliases.h"

#include <elf.h>
#include <fmt/core.h>

#include <map>
#include <string>

#include "objdiff/diff/diff_refusals.h"

namespace ksplice {

namespace {

// What a name leads to; atom is null if several things have it.
struct Meaning {
  const Atom* atom = nullptr;
  bool entry = false;
};

std::map<std::string, Meaning> meanings(const Atoms& atoms) {
  std::map<std::string, Meaning> result;
  for (const auto& symbol : atoms.object().symbols) {
    const Atom* atom = atoms.of(symbol.get());
    if (atom == nullptr || (atom->kind != AtomKind::Function && atom->kind != AtomKind::Data) ||
        (symbol->type == STT_NOTYPE && symbol->bind == STB_LOCAL) ||
        plain_name(symbol->name) != symbol->name)
      continue;
    auto [found, is_new] =
        result.try_emplace(symbol->name, Meaning{atom, symbol->value == atom->entry});
    if (!is_new) found->second.atom = nullptr;
  }
  return result;
}

std::string description(const Meaning& meaning, const std::string& name) {
  if (meaning.atom->name == name)
    return meaning.atom->is_function() ? "a function of its own" : "an object of its own";
  return fmt::format("{} {}", meaning.entry ? "another name of" : "a place in", meaning.atom->name);
}

}  // namespace

std::vector<Refusal> find_alias_changes(const DiffContext& context) {
  std::vector<Refusal> refusals;
  const auto pre = meanings(context.pre), post = meanings(context.post);
  for (const auto& [name, is] : post) {
    auto was = pre.find(name);
    if (was == pre.end() || is.atom == nullptr || was->second.atom == nullptr) continue;
    if (is.atom->name == name && was->second.atom->name == name) continue;
    if (context.correlation.pre(is.atom) == was->second.atom && is.entry == was->second.entry)
      continue;
    Refusal& refusal = refusals.emplace_back();
    refusal.code = "alias_changed";
    refusal.object = context.post.object().path;
    refusal.section = is.atom->section->name;
    refusal.symbol = name;
    refusal.expected = description(was->second, name);
    refusal.found = description(is, name);
    refusal.message = fmt::format(
        "{} was {} and is {} now: the running kernel's code that uses the name has the old address "
        "in it",
        name, refusal.expected, refusal.found);
    refusal.advice = "leave the name as it is, and change the code that it leads to";
  }
  return refusals;
}

}  // namespace ksplice
