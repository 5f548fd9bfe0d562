// Refuses changes of code that cannot be redirected, and the keys of new code that cannot be
// linked.
#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <deque>
#include <map>

#include "objdiff/diff/judge.h"

namespace ksplice {

namespace {

bool is_read_only_after_init(const std::string& name) {
  return name.starts_with(".data..ro_after_init");
}

// By callee; made when first asked for.
using Callers = std::map<const Atom*, std::set<const Atom*>>;

// The nearest functions up the call graph of pre that can be redirected.
std::vector<std::string> patchable_callers(const DiffContext& context, Callers& callers,
                                           const Atom& target) {
  if (callers.empty()) {
    for (const Atom& atom : context.pre.all()) {
      if (!atom.is_function()) continue;
      for (const Relocation* relocation : context.pre.relocations(atom)) {
        const Reference reference = context.pre.resolve(*atom.section, *relocation);
        if (reference.atom != nullptr && reference.atom->is_function() && reference.atom != &atom)
          callers[reference.atom].insert(&atom);
      }
    }
  }
  std::vector<std::string> found;
  std::set<const Atom*> seen = {&target};
  std::deque<const Atom*> queue = {&target};
  while (!queue.empty()) {
    const Atom* callee = queue.front();
    queue.pop_front();
    for (const Atom* caller : callers[callee]) {
      if (!seen.insert(caller).second || is_init_section(caller->section->name)) continue;
      if (context.pre_tables.has_ftrace_site(*caller))
        found.push_back(caller->name);
      else
        queue.push_back(caller);
    }
  }
  std::sort(found.begin(), found.end());
  if (found.size() > 8) found.resize(8);
  return found;
}

// Start code has run, and exit code will: neither can be done once more in a hook as it is.
std::string advise_on_start_code(const std::string& section) {
  if (section.starts_with(".exit"))
    return "leave it out of the patch: it runs when the module is unloaded, and the old one does; "
           "what new code leaves behind is to be taken down in a ksplice_reverse hook";
  return "leave it out of the patch: it has run. Only what the change adds may be made up for in a "
         "ksplice_apply hook, if it can be done now and for what exists already; what it did "
         "before "
         "must not be done twice";
}

void judge_function(Judgement& j, Callers& callers, const FunctionDiff& function) {
  if (function.status == DiffStatus::Same) return;
  if (is_init_section(function.section)) {
    Refusal& refusal = j.refuse("init_changed", function.section, function.name,
                                fmt::format("{} is in {}, which runs only at start or exit, and {}",
                                            function.name, function.section, verb(function.status)),
                                advise_on_start_code(function.section));
    if (!function.reasons.empty()) {
      refusal.offset = function.reasons.front().offset;
      refusal.found = function.reasons.front().detail;
    }
    return;
  }
  if (function.status != DiffStatus::Changed) return;
  const Atom* pre = j.context.pre.of(function.pre);
  const uint64_t offset = function.reasons.empty() ? 0 : function.reasons.front().offset;
  if (is_assembly(j.context.post.object(), j.context.post_debug)) {
    j.refuse("assembly", function.section, function.name,
             fmt::format("{} is written in assembly; it has no ftrace site and no known frame",
                         function.name),
             "patch the C functions that call it instead")
        .offset = offset;
    return;
  }
  const std::string parent = fragment_parent(function.name);
  if (!parent.empty() && j.context.post.object().find_symbol(parent) != nullptr) return;
  if (j.context.pre_tables.has_ftrace_site(*pre)) return;
  const std::vector<std::string> names = patchable_callers(j.context, callers, *pre);
  Refusal& refusal = j.refuse(
      "no_ftrace_site", function.section, function.name,
      fmt::format("{} has no ftrace site (notrace, noinstr, or too small), so it cannot be "
                  "redirected",
                  function.name),
      names.empty()
          ? "nothing in this unit that calls it can be redirected either; patch its callers in "
            "other units"
          : fmt::format("put the new code into a function of another name and patch its "
                        "callers to call that: {}",
                        fmt::join(names, ", ")));
  refusal.offset = offset;
  refusal.expected = fmt::format("call {} at its entry", FtraceCall);
}

}  // namespace

void judge_functions(Judgement& j) {
  Callers callers;
  for (const FunctionDiff& function : j.context.diff.functions)
    judge_function(j, callers, function);
}

// The loader links a module's users into the key; a key that is read-only by then faults.
void judge_static_keys(Judgement& j) {
  std::set<std::pair<const Atom*, const Atom*>> seen;
  for (const FunctionDiff& function : j.context.diff.functions) {
    if (function.post == nullptr || function.status == DiffStatus::Same) continue;
    const Atom* atom = j.context.post.of(function.post);
    for (const TableEntry& entry : j.context.post_tables.of(atom)) {
      const bool jump = entry.section->name == "__jump_table";
      if (!jump && entry.section->name != ".static_call_sites") continue;
      for (const Relocation& relocation : entry.relocations()) {
        const Atom* key = j.context.post.resolve(*entry.section, relocation).atom;
        if (key == nullptr || key->is_function() || !seen.emplace(atom, key).second) continue;
        const std::string& where = key->section->name;
        if (!is_read_only_after_init(where) && !is_init_section(where)) continue;
        if (j.context.correlation.pre(key) == nullptr) continue;
        j.refuse(jump ? "static_key" : "static_call", where, key->name,
                 fmt::format("{} uses the static {} {}, which is in {} and cannot be linked to new "
                             "code",
                             function.name, jump ? "key" : "call", key->name, where),
                 jump ? "test it with static_key_enabled() in the patch"
                      : "call the function through static_call_query() in the patch")
            .offset = entry.owner_offset;
      }
    }
  }
}

}  // namespace ksplice
