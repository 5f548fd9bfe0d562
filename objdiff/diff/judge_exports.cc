// Refuses changes of what a unit exports to modules, and of what its tracepoints hand over.
#include <elf.h>
#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <string_view>

#include "objdiff/diff/judge.h"

namespace ksplice {

namespace {

// The string at offset of a section, or "".
std::string text_at(const Section& section, uint64_t offset) {
  const auto begin = section.data.begin() +
                     static_cast<ptrdiff_t>(std::min<uint64_t>(offset, section.data.size()));
  return {begin, std::find(begin, section.data.end(), 0)};
}

// By name, to which modules: "any", "gpl", and of which namespace, if it is in one.
std::map<std::string, std::string> exports(const Object& object) {
  std::map<std::string, std::string> result, spaces;
  for (const auto& section : object.sections)
    for (std::string_view head : {"___ksymtab+", "___ksymtab_gpl+"})
      if (section->name.starts_with(head))
        result[section->name.substr(head.size())] = head == "___ksymtab+" ? "any" : "gpl";
  for (const auto& symbol : object.symbols) {
    if (symbol->section == nullptr) continue;
    const std::string_view name = symbol->name;
    if (name.starts_with("__export_symbol_")) {
      // { .asciz license; .asciz namespace; .balign 8; .quad symbol }, linux/export.h since 6.4
      const std::string license = text_at(*symbol->section, symbol->value);
      const std::string exported(name.substr(16));
      result[exported] = license == "GPL" ? "gpl" : "any";
      spaces[exported] = text_at(*symbol->section, symbol->value + license.size() + 1);
    } else if (name.starts_with("__ksymtab_") &&
               symbol->section->name.find("ksymtab") != std::string::npos) {
      const bool gpl = symbol->section->name.find("_gpl") != std::string::npos;
      result[std::string(name.substr(10))] = gpl ? "gpl" : "any";
    } else if (name.starts_with("__kstrtabns_")) {  // until 6.3
      spaces[std::string(name.substr(12))] = text_at(*symbol->section, symbol->value);
    }
  }
  for (auto& [name, kind] : result)
    if (!spaces[name].empty()) kind += " of namespace " + spaces[name];
  return result;
}

// A module that is loaded later is linked to the running kernel's list of exports, old CRC and all,
// and was compiled to call what has the old type.
void judge_type_of_export(Judgement& j, const std::string& name) {
  const DebugInfo &before = j.context.pre_debug, &after = j.context.post_debug;
  const std::optional<Prototype> old = before.prototype(name), now = after.prototype(name);
  const bool differs = old && now && old->shape != now->shape;
  const ChecksumPair& sums = j.context.facts.checksums;
  const auto old_sum = sums.pre.find(name), now_sum = sums.post.find(name);
  const bool known = old_sum != sums.pre.end() && now_sum != sums.post.end();
  const bool other_sum = known && old_sum->second != now_sum->second;
  if (!differs && !other_sum) return;
  // A CRC is of what the unit knows of the types, too.
  if (!differs && old && now && old->text == now->text && !j.types_differ) {
    j.notes.push_back(fmt::format(
        "the CRC of export {} would be {:#010x}, not {:#010x}, though its type is the same and so "
        "is the layout of all that it uses: a header shows more, or has new names",
        name, now_sum->second, old_sum->second));
    return;
  }
  std::string message = fmt::format("the type of export {} changed", name);
  if (old && now && old->text != now->text)
    message += fmt::format(" from {} to {}", old->text, now->text);
  else
    message += ", or one that it uses";
  if (other_sum)
    message += fmt::format(" (its CRC {:#010x} is {:#010x} now)", old_sum->second, now_sum->second);
  message += ": a module that is built or loaded later calls it by the old one";
  Refusal& refusal =
      j.refuse("export_changed", "", name, message,
               "keep the types of exports as they are: give what is new a function of its own, and "
               "let the exported one call it");
  if (old && now) refusal.expected = old->text, refusal.found = now->text;
}

// Everything of the source that calls it is compared, but not what is no part of it. Exports are
// refused.
void note_other_callers(Judgement& j, const std::map<std::string, std::string>& exports) {
  for (const FunctionDiff& function : j.context.diff.functions) {
    if (function.status != DiffStatus::Changed || exports.contains(function.name)) continue;
    const auto old = j.context.pre_debug.prototype(function.name);
    const auto now = j.context.post_debug.prototype(function.name);
    if (!old || !now || old->shape == now->shape) continue;
    j.reshaped.insert(function.post);
    j.notes.push_back(fmt::format(
        "{} was {} and is {} now: another update whose new code calls it must be made --on-top-of "
        "this one, and BPF programs that trace it see the old parameters",
        function.name, old->text, now->text));
  }
}

// What a tracepoint hands to those who attached themselves to it: its iterator only passes it on,
// so that its code is the same. Modules were compiled for the old order, and BPF programs are
// checked against it in the kernel's BTF.
void judge_tracepoints(Judgement& j) {
  constexpr std::string_view Iterator = "__traceiter_";
  for (const FunctionDiff& function : j.context.diff.functions) {
    if (!function.name.starts_with(Iterator)) continue;
    const auto old = j.context.pre_debug.prototype(function.name);
    const auto now = j.context.post_debug.prototype(function.name);
    if (!old || !now || old->shape == now->shape) continue;
    const std::string name = function.name.substr(Iterator.size());
    Refusal& refusal = j.refuse(
        "tracepoint_changed", function.section, name,
        fmt::format("tracepoint {} hands over other parameters: {}, was {}", name, now->text,
                    old->text),
        "leave its parameters as they are: BPF programs and modules that are attached to it know "
        "the old ones");
    refusal.expected = old->text;
    refusal.found = now->text;
  }
}

}  // namespace

void judge_exports(Judgement& j) {
  judge_tracepoints(j);
  const auto pre = exports(j.context.pre.object()), post = exports(j.context.post.object());
  const std::string advice =
      "leave exports as they are; new code of the update may call the function without one";
  for (const auto& [name, kind] : post) {
    auto old = pre.find(name);
    if (old == pre.end())
      j.refuse("export_added", "", name,
               fmt::format("{} is exported now; running modules cannot know it", name), advice);
    else if (old->second != kind)
      j.refuse("export_changed", "", name,
               fmt::format("{} was exported to modules: {}; now: {}", name, old->second, kind),
               advice);
  }
  for (const auto& [name, kind] : pre)
    if (!post.contains(name))
      j.refuse("export_changed", "", name, fmt::format("{} is no longer exported", name), advice);
  for (const auto& [name, kind] : post)
    if (pre.contains(name)) judge_type_of_export(j, name);
  note_other_callers(j, pre);
}

}  // namespace ksplice
