// Refuses changes of code that cannot be redirected, and the keys of new code that cannot be
// linked.
#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <deque>
#include <iterator>
#include <map>
#include <optional>
#include <sstream>

#include "kmod-core/breakpoint_path.h"
#include "objdiff/diff/judge.h"

namespace ksplice {

namespace {

bool is_read_only_after_init(const std::string& name) {
  return name.starts_with(".data..ro_after_init");
}

// By callee; made when first asked for.
using Callers = std::map<const Atom*, std::set<const Atom*>>;

bool on_breakpoint_path(const std::string& name) {
  std::istringstream names(KSPLICE_BREAKPOINT_PATH);
  return std::find(std::istream_iterator<std::string>(names), {}, name) !=
         std::istream_iterator<std::string>();
}

bool is_noinstr(const std::string& section) {
  return section.starts_with(".noinstr") || section.starts_with(".entry.text") ||
         section.starts_with(".cpuidle.text");
}

// A processor that is offline may sleep in it, and does not take part when a jump is written.
bool sleeps_offline(const std::string& name) {
  return name.find("play_dead") != std::string::npos || name.find("idle_dead") != std::string::npos;
}

// Tables of places in code that the kernel writes over, which no jump may cover.
bool is_rewritten_at(const std::string& table) {
  return table == "__jump_table" || table == ".static_call_sites";
}

// Where a branch of the function leads in its own section, or nullopt.
std::optional<uint64_t> own_target(const Atoms& atoms, const Atom& function,
                                   const Instruction& instruction) {
  if (!instruction.is_branch()) return std::nullopt;
  for (const Relocation* relocation : atoms.relocations(function)) {
    if (relocation->offset != instruction.offset + instruction.imm_offset) continue;
    const Reference reference = atoms.resolve(*function.section, *relocation);
    if (reference.atom != &function) return std::nullopt;
    return function.entry + static_cast<uint64_t>(reference.offset);
  }
  return static_cast<uint64_t>(instruction.target);
}

bool has_sites(const DiffContext& context) {
  return std::any_of(context.pre.all().begin(), context.pre.all().end(), [&](const Atom& atom) {
    return atom.is_function() && context.pre_tables.has_ftrace_site(atom);
  });
}

// Why no jump can stand at the entry of a function without an ftrace site; empty if one can, as far
// as its object shows. Whether the running kernel has the room for it is seen there
// (kmod-core/choose.c, which knows the same rules).
std::string no_jump(const DiffContext& context, const Atom& function) {
  if (is_noinstr(function.section->name))
    return fmt::format("it is in {}, code that runs before the kernel is fully entered",
                       function.section->name);
  if (has_sites(context) && context.pre.object().find_section("__mcount_loc") == nullptr)
    return "its object does not list the ftrace sites (no __mcount_loc), and whether the running "
           "function has one is not seen";
  if (on_breakpoint_path(function.name))
    return "the kernel needs it to handle a breakpoint, which stands there while the jump is "
           "written";
  constexpr uint64_t JumpSize = 5;
  const std::vector<Instruction> code =
      decode_range(function.section->data, function.entry, function.end());
  uint64_t first = function.entry;
  if (!code.empty() && code.front().kind == InstructionKind::Endbr) first = code.front().end();
  for (const Instruction& instruction : code)
    if (instruction.offset == first && instruction.kind == InstructionKind::Nop &&
        instruction.size == JumpSize)
      return "it begins with a nop over which somebody else may write a call";
  uint64_t end = first;
  for (const Instruction& instruction : code)
    if (end < first + JumpSize) end = std::max(end, instruction.end());
  for (const TableEntry& entry : context.pre_tables.of(&function)) {
    const uint64_t at = function.entry + static_cast<uint64_t>(entry.owner_offset);
    if (is_rewritten_at(entry.section->name) && entry.owner_offset >= 0 && at >= first && at < end)
      return fmt::format("{} says that the kernel rewrites its first instructions (+{:#x})",
                         entry.section->name, entry.owner_offset);
  }
  for (const Instruction& instruction : code) {
    const std::optional<uint64_t> target = own_target(context.pre, function, instruction);
    if (!target || *target < first || *target >= end) continue;
    if (*target == first ? instruction.kind != InstructionKind::Call
                         : sleeps_offline(function.name))
      return fmt::format("its code at +{:#x} leads back to its first instructions",
                         instruction.offset - function.entry);
  }
  return {};
}

bool can_be_redirected(const DiffContext& context, const Atom& function) {
  return context.pre_tables.has_ftrace_site(function) || no_jump(context, function).empty();
}

// The nearest functions up the call graph of pre that can be redirected.
std::vector<std::string> redirectable_callers(const DiffContext& context, Callers& callers,
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
      if (can_be_redirected(context, *caller))
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
    return "leave it out of the patch, with the start code of the module that the patch changes: "
           "exit code is replaced only where that stays as it is, so the old one will run; "
           "what new code leaves behind is to be taken down in a ksplice_reverse hook";
  return "leave it out of the patch: it has run. Only what the change adds may be made up for in a "
         "ksplice_apply hook, if it can be done now and for what exists already; what it did "
         "before "
         "must not be done twice";
}

// Start code that is to stay comes along as a new function.
bool stays_with_patch(const Judgement& j, const std::string& name) {
  const Symbol* post = j.context.post.object().find_symbol(name);
  return post != nullptr && post->section != nullptr && !is_init_section(post->section->name);
}

void judge_function(Judgement& j, Callers& callers, const FunctionDiff& function) {
  if (function.status == DiffStatus::Same) return;
  if (function.status == DiffStatus::Removed && is_init_section(function.section) &&
      stays_with_patch(j, function.name))
    return;
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
  const std::string why = no_jump(j.context, *pre);
  if (why.empty()) return;
  const std::vector<std::string> names = redirectable_callers(j.context, callers, *pre);
  Refusal& refusal = j.refuse(
      "no_ftrace_site", function.section, function.name,
      fmt::format("{} has no ftrace site{}, and a jump to its new code cannot be at its entry: {}",
                  function.name, has_sites(j.context) ? "" : " (no function of this file has one)",
                  why),
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
