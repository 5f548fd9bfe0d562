#include "objdiff/diff/old_code.h"

#include <elf.h>
#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <set>

#include "objdiff/object/code.h"
#include "objdiff/object/section_rules.h"

namespace ksplice {

namespace {

class OldCode {
 public:
  explicit OldCode(Judgement& j) : j_(j), context_(j.context) {
    for (const FunctionDiff& function : context_.diff.functions)
      if (function.post != nullptr) by_post_[function.post] = &function;
  }

  void run() {
    for (const FunctionDiff& function : context_.diff.functions) {
      const bool is_start = is_init_section(function.section);
      if (function.pre != nullptr && function.status != DiffStatus::Same &&
          (is_start || function.status == DiffStatus::Removed)) {
        const std::string callee = misled_by(*context_.pre.of(function.pre));
        if (!callee.empty()) j_.misled[function.pre] = callee;
        if (!is_start) judge_removed(function, callee);
      }
      if (function.status == DiffStatus::Changed && !is_start &&
          is_of_start(*context_.post.of(function.post)))
        j_.start_only.insert(function.post);
    }
  }

 private:
  // The function that old code comes to, by calls among old code, and that takes other parameters
  // now; "" if there is none.
  std::string misled_by(const Atom& from) const {
    std::vector<const Atom*> queue = {&from};
    std::set<const Atom*> seen = {&from};
    while (!queue.empty()) {
      const Atom& atom = *queue.back();
      queue.pop_back();
      for (const Relocation* relocation : context_.pre.relocations(atom)) {
        const Atom* callee = context_.pre.resolve(*atom.section, *relocation).atom;
        if (callee == nullptr || !callee->is_function() || callee->symbol == nullptr) continue;
        if (!seen.insert(callee).second) continue;
        const FunctionDiff* diff = diff_of(*callee);
        if (diff != nullptr && diff->status == DiffStatus::Same) continue;
        const bool stays_old =
            diff == nullptr || diff->carried || is_init_section(callee->section->name);
        if (stays_old)
          queue.push_back(callee);
        else if (j_.reshaped.contains(diff->post) || is_compiler_made(callee->name))
          return callee->name;
      }
    }
    return "";
  }

  // What became of a function of pre; nothing if it is gone.
  const FunctionDiff* diff_of(const Atom& pre) const {
    const Atom* post = context_.correlation.post(&pre);
    auto found = post == nullptr ? by_post_.end() : by_post_.find(post->symbol);
    return found == by_post_.end() ? nullptr : found->second;
  }

  void judge_removed(const FunctionDiff& function, const std::string& callee) {
    // Data that hold its address are data that change.
    if (!address_taken(context_.pre, *context_.pre.of(function.pre), Holder::Code)) return;
    if (callee.empty()) {
      j_.notes.push_back(fmt::format(
          "{} is gone; what holds its address by now goes on calling its old code", function.name));
      return;
    }
    j_.refuse("old_caller", function.section, function.name,
              fmt::format("{} is gone, but what holds its address by now goes on calling it, and "
                          "its old code calls {}, which takes other parameters now, or may take "
                          "them, where the compiler decides that",
                          function.name, callee),
              fmt::format("keep {}, as a function that calls what is new", function.name));
  }

  // Whether the function is called from start code alone, by itself or through others like it.
  bool is_of_start(const Atom& function) {
    std::vector<const Atom*> queue = {&function};
    std::set<const Atom*> seen = {&function};
    bool called = false;
    while (!queue.empty()) {
      const Atom* atom = queue.back();
      queue.pop_back();
      const Atom* pre = context_.correlation.pre(atom);
      if (atom->symbol->bind != STB_LOCAL || is_alias(*atom)) return false;
      if (address_taken(context_.post, *atom)) return false;
      if (pre != nullptr && address_taken(context_.pre, *pre)) return false;
      for (const Atom* caller : callers(*atom)) {
        const std::string& section = caller->section->name;
        // .exit.text is still to run, .meminit.text and .head.text may run at any time.
        if (is_init_section(section) && !section.starts_with(".init")) return false;
        if (is_init_section(section))
          called = true;
        else if (seen.insert(caller).second)
          queue.push_back(caller);
      }
      if (callers(*atom).empty()) return false;
    }
    return called;
  }

  static bool is_alias(const Atom& atom) {
    return std::ranges::any_of(atom.aliases,
                               [](const Symbol* name) { return name->bind != STB_LOCAL; });
  }

  // In post; a part of a function stands for the whole.
  const std::set<const Atom*>& callers(const Atom& function) {
    if (callers_.empty())
      for (const Atom& atom : context_.post.all()) {
        if (!atom.is_function()) continue;
        for (const Relocation* relocation : context_.post.relocations(atom)) {
          const Atom* callee = context_.post.resolve(*atom.section, *relocation).atom;
          if (callee != nullptr && callee != &atom) callers_[callee].insert(&atom);
        }
      }
    return callers_[&function];
  }

  Judgement& j_;
  const DiffContext& context_;
  std::map<const Symbol*, const FunctionDiff*> by_post_;
  std::map<const Atom*, std::set<const Atom*>> callers_;
};

}  // namespace

bool address_taken(const Atoms& atoms, const Atom& function, Holder holder) {
  for (const auto& section : atoms.object().sections) {
    if (!section->is_alloc() || is_table(section->name)) continue;
    if (is_special_section(*section) || (holder == Holder::Code && !section->is_exec())) continue;
    for (const Relocation& relocation : section->relocations) {
      const Reference reference = atoms.resolve(*section, relocation);
      if (reference.atom != &function) continue;
      const Atom* from = atoms.at(section.get(), relocation.offset);
      if (from == &function || (from != nullptr && fragment_parent(from->name) == function.name))
        continue;
      const Instruction* instruction =
          section->is_exec() ? atoms.code(*section)->at(relocation.offset) : nullptr;
      if (instruction == nullptr || !instruction->is_branch()) return true;
    }
  }
  return false;
}

void judge_old_code(Judgement& j) { OldCode(j).run(); }

}  // namespace ksplice
