#include "objdiff/diff/layout_advice.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace ksplice {

namespace {

std::string place_text(const TypeMember& member) {
  const uint64_t bit = member.offset % 8;
  const std::string byte = fmt::format("at offset {}", member.offset / 8);
  return bit == 0 ? byte : fmt::format("bit {} {}", bit, byte);
}

// "(long extra, at offset 8)"
std::string details(const DebugInfo& debug, const TypeLayout& layout, const TypeMember& member) {
  const std::string declaration = debug.declaration(layout, member.name);
  return fmt::format("({}, {})", declaration.empty() ? shown_type(member) : declaration,
                     place_text(member));
}

bool is_shorter_array(const LayoutChange::Change& change) {
  const std::string elements = elements_of(shown_type(*change.is));
  return !elements.empty() && elements == elements_of(shown_type(*change.was)) &&
         change.is->size < change.was->size;
}

// Parts of a member that differs as a whole, as the elements of an array.
void drop_parts(std::vector<const TypeMember*>& members) {
  const std::vector<const TypeMember*> all = members;
  std::erase_if(members, [&](const TypeMember* member) {
    const std::string outer = outer_of(member->name);
    return member->type == "element" ||
           std::ranges::any_of(all, [&](const auto* each) { return each->name == outer; });
  });
}

// What of the old layout can be left as it is.
std::vector<std::string> what_to_leave(const DebugInfo& debug, const TypeLayout& old,
                                       const LayoutChange& rest) {
  std::vector<std::string> leave;
  std::vector<const TypeMember*> gone = rest.gone;
  drop_parts(gone);
  for (const TypeMember* member : gone)
    leave.push_back(fmt::format("leave member {} {} where it was, unused", member->name,
                                details(debug, old, *member)));
  for (const LayoutChange::Change& change : rest.altered) {
    if (!outer_of(change.was->name).empty() || change.was->type == "element") continue;
    leave.push_back(
        fmt::format("leave member {} {} {}", change.was->name, details(debug, old, *change.was),
                    is_shorter_array(change) ? "as long as it was, its end unused" : "as it was"));
  }
  if (leave.empty() && rest.fresh.empty() && !rest.moved.empty())
    leave.emplace_back("leave the members in the order that they had");
  return leave;
}

std::string why_to_leave(const TypeLayout& old, const TypeLayout& layout) {
  std::string why = ": the layout stays as live objects and the old code have it";
  if (layout.size < old.size)
    why += fmt::format(
        ", and what new code allocates keeps its {} bytes, which old code looks for again after an "
        "undo",
        old.size);
  return why;
}

// There is one of a variable, and no object to attach anything to.
constexpr const char* VariableAdvice =
    "keep the layout of the variable, and put what is new into one of another name";
constexpr const char* StackAdvice =
    "only local variables are seen to be of this type, but whether they point to memory that "
    "stays, or one is copied there, debug information does not show: pass what is new beside it, "
    "in a parameter or a structure of its own";

}  // namespace

std::string advise_on_layout(const Judgement& j, const TypeLayout& old, const TypeLayout& layout,
                             const LayoutVerdict& verdict) {
  const LayoutChange& rest = verdict.rest;
  const bool only_gone = rest.fresh.empty() && std::ranges::all_of(rest.altered, is_shorter_array);
  const std::vector<std::string> leave = what_to_leave(j.context.pre_debug, old, rest);
  std::vector<std::string> parts;
  if (!leave.empty())
    parts.push_back(fmt::format("{}", fmt::join(leave, "; ")) + why_to_leave(old, layout));
  if (only_gone && !leave.empty()) return parts.front();
  if (old.only_on_stack && layout.only_on_stack) return StackAdvice;
  if (old.name.starts_with(VariablePrefix)) return VariableAdvice;
  if (rest.empty() && old.size == layout.size)
    return old.alignment == 0
               ? "take away the alignment that the source asks for: live objects lie as it was"
               : fmt::format("leave the alignment at {} bytes: live objects lie as it was",
                             old.alignment);
  if (verdict.only_fills)
    for (const TypeMember* member : rest.fresh)
      parts.push_back(
          fmt::format("member {} is {}, where there was a gap: what live objects hold "
                      "there is not known",
                      member->name, place_text(*member)));
  std::vector<const TypeMember*> fresh = rest.fresh;
  drop_parts(fresh);
  for (const TypeMember* member : fresh)
    if (member->size == 0)
      parts.push_back(
          fmt::format("behind live objects there is no room for {}: keep it in memory "
                      "of its own",
                      member->name));
  std::erase_if(fresh, [](const TypeMember* member) { return member->size == 0; });
  std::vector<ShadowMember> members;
  for (const TypeMember* member : fresh) members.push_back({member, nullptr});
  for (const LayoutChange::Change& change : rest.altered)
    if (!is_shorter_array(change)) members.push_back({change.is, change.was});
  if (!members.empty()) parts.push_back(shadow_code(j, layout, members));
  if (parts.empty()) parts.emplace_back("keep the layout that live objects have");
  return fmt::format("{}", fmt::join(parts, "; "));
}

}  // namespace ksplice
