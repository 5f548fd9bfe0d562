#include "objdiff/diff/layout_rules.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace ksplice {

namespace {

constexpr int MaxDepth = 16;  // of structures in structures

// "header." of "header.port", "cursor->" of "cursor->at".
std::string around(const std::string& path) {
  const size_t dot = path.rfind('.'), arrow = path.rfind("->");
  const size_t end = std::max(dot == path.npos ? 0 : dot + 1, arrow == path.npos ? 0 : arrow + 2);
  return path.substr(0, end);
}

// The place where elements begin, whatever their number is.
bool has_same_elements(const TypeMember& member, const TypeMember& other) {
  const std::string elements = elements_of(shown_type(member));
  return member.size == 0 && !elements.empty() && elements == elements_of(shown_type(other)) &&
         member.target == other.target;
}

// Of an array or pointer of which the elements have no name: they count from their own beginning.
bool is_element(const TypeMember& member) { return member.type == "element"; }

// The bits that there are where a member lies: of the structure, or of an element. 0: not known.
uint64_t bits_of(const TypeLayout& layout, const std::string& outer) {
  if (outer.empty()) return layout.size * 8;
  for (const TypeMember& member : layout.members)
    if (is_element(member) && outer_of(member.name) == outer) return member.size;
  return 0;
}

}  // namespace

// Of the structure that a member is, or null.
const TypeLayout* LayoutRules::inner_layout(const TypeMember& member, bool post) const {
  const Types& types = post ? post_ : pre_;
  return types.count(member.type) == 1 ? &types.find(member.type)->second : nullptr;
}

// Those of the structure that a member is, if that is known.
LayoutRules::Members LayoutRules::inner_members(const TypeMember& member, bool post) const {
  const TypeLayout* inner = inner_layout(member, post);
  if (inner == nullptr) return {};
  Members members = (post ? renamed_.by_old_names(*inner) : *inner).members;
  for (TypeMember& each : members) {
    each.name = member.name + (each.name.empty() ? "" : ".") + each.name;
    each.offset += member.offset;
  }
  std::erase_if(members, [&](const TypeMember& each) {
    return outer_of(each.name) != outer_of(member.name);
  });
  return members;
}

// The same, and none if a member has elements without a name, which are not among them.
LayoutRules::Members LayoutRules::whole_members(const TypeMember& member, bool post) const {
  const TypeLayout* inner = inner_layout(member, post);
  const bool has_parts = inner != nullptr && std::ranges::any_of(inner->members, is_element);
  return has_parts ? Members{} : inner_members(member, post);
}

LayoutRules::Members LayoutRules::all_members(const TypeLayout& layout, bool post) const {
  constexpr size_t Most = 100'000;
  Members members = layout.members;
  for (size_t i = 0; i < members.size() && members.size() < Most; ++i) {
    const Members inner = inner_members(members[i], post);
    members.insert(members.end(), inner.begin(), inner.end());
  }
  return members;
}

// Whether old has room there that none of its members uses. An array without a length uses all that
// lies behind it, also in a structure inside.
bool LayoutRules::is_unused(const TypeLayout& old, const TypeMember& member) const {
  const std::string outer = outer_of(member.name);
  const uint64_t end = member.offset + member.size;
  if (member.size == 0 || is_element(member) || end > bits_of(old, outer)) return false;
  return std::ranges::none_of(all_members(old, false), [&](const TypeMember& each) {
    if (is_element(each) || outer_of(each.name) != outer) return false;
    const bool is_known = inner_layout(each, false) != nullptr ||
                          !(each.type.starts_with("struct ") || each.type.starts_with("union "));
    const bool is_open = each.size == 0 && !elements_of(each.type).empty();
    return !is_known || (each.offset < end && (is_open || member.offset < each.offset + each.size));
  });
}

// Whether the other layout has member by that name, or each of its own members; known: those.
bool LayoutRules::is_there(const TypeMember& member, const std::string& path, bool post,
                           const Members& others, std::vector<std::string>& known) const {
  const bool found = std::ranges::any_of(others, [&](const TypeMember& other) {
    return other.name == path && other.offset == member.offset &&
           outer_of(other.name) == outer_of(member.name) &&
           member_difference(other, member).empty();
  });
  if (found) known.push_back(path);
  if (found || std::ranges::count(path, '.') > MaxDepth) return found;
  const Members inner = whole_members(member, post);
  return !inner.empty() && std::ranges::all_of(inner, [&](const TypeMember& each) {
    return is_there(each, path + each.name.substr(member.name.size()), post, others, known);
  });
}

// Whether each byte of a member of the one layout has a member with the same name in the other one.
// That "pair.b.x" lies where "a.x" was would not do: a and b may have changed places.
bool LayoutRules::is_other_name(const TypeMember& member, bool post, const Members& others,
                                std::vector<std::string>& known) const {
  if (is_element(member)) return false;
  for (const TypeMember& other : others) {
    if (is_element(other) || other.offset != member.offset ||
        outer_of(other.name) != outer_of(member.name))
      continue;
    const bool is_inside =
        other.name.ends_with("." + member.name) && member_difference(other, member).empty();
    if (!is_inside && !has_same_elements(member, other)) continue;
    known.push_back(other.name);
    return true;
  }
  // A structure around members that are there without it.
  const Members inner = whole_members(member, post);
  return !inner.empty() && std::ranges::all_of(inner, [&](const TypeMember& each) {
    const std::string inside = each.name.substr(member.name.size() + 1);
    return is_there(each, around(member.name) + inside, post, others, known);
  });
}

// Whether something of that type lies in the place of something else: in a union. The other one may
// use what is a gap here.
bool LayoutRules::is_shared(const std::string& type, std::set<std::string>& seen) const {
  if (!seen.insert(type).second) return false;
  return std::ranges::any_of(pre_, [&](const auto& each) {
    const std::vector<TypeMember>& members = each.second.members;
    return std::ranges::any_of(members, [&](const TypeMember& member) {
      if (member.type != type && elements_of(member.type) != type) return false;
      const bool overlaps = std::ranges::any_of(members, [&](const TypeMember& other) {
        return &other != &member && !is_element(other) &&
               outer_of(other.name) == outer_of(member.name) &&
               other.offset < member.offset + member.size &&
               member.offset < other.offset + other.size;
      });
      return overlaps || is_shared(each.first, seen);
    });
  });
}

LayoutVerdict LayoutRules::judge(const TypeLayout& old, const TypeLayout& now) const {
  LayoutVerdict verdict;
  verdict.rest = compare_layouts(old, now);
  LayoutChange& rest = verdict.rest;
  auto allow = [&](std::vector<const TypeMember*>& members, bool post, const char* what) {
    if (members.empty()) return;
    const Members others = all_members(post ? old : now, !post);
    std::erase_if(members, [&](const TypeMember* member) {
      std::vector<std::string> known;
      if (!is_other_name(*member, post, others, known)) return false;
      verdict.allowed.push_back(fmt::format("member {} {} (same-bytes: {} {})", member->name, what,
                                            fmt::join(known, ", "),
                                            known.size() == 1 ? "is there" : "are there"));
      return true;
    });
  };
  allow(rest.fresh, true, "is new");
  allow(rest.gone, false, "is gone");
  const bool all_stays = rest.gone.empty() && rest.moved.empty() && rest.altered.empty() &&
                         old.size == now.size && alignment_difference(old, now).empty();
  verdict.is_allowed = all_stays && rest.fresh.empty();
  std::set<std::string> seen;
  verdict.only_fills =
      all_stays && !rest.fresh.empty() &&
      std::ranges::all_of(rest.fresh,
                          [&](const TypeMember* member) { return is_unused(old, *member); }) &&
      !is_shared(old.name, seen);
  return verdict;
}

}  // namespace ksplice
