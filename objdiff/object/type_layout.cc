#include "objdiff/object/type_layout.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <string_view>

namespace ksplice {

namespace {

using Members = std::map<std::string, const TypeMember*>;

Members by_name(const TypeLayout& layout) {
  Members members;
  for (const TypeMember& member : layout.members) members[member.name] = &member;
  return members;
}

std::string called(const std::string& name) {
  return name.empty() ? "it" : fmt::format("member {}", name);
}

const std::string& shown_type(const TypeMember& member) {
  return member.array.empty() ? member.type : member.array;
}

// Void is any memory, at each depth. Bytes are not: who indexes them steps by one.
bool is_same_target(std::string_view pre, std::string_view post) {
  constexpr std::string_view Pointer = "pointer to ";
  while (pre.starts_with(Pointer) && post.starts_with(Pointer)) {
    pre.remove_prefix(Pointer.size());
    post.remove_prefix(Pointer.size());
  }
  return pre == post || pre.empty() || post.empty();
}

// What differs between a member and the one of its name, at the same place, or "".
std::string member_difference(const TypeMember& pre, const TypeMember& post) {
  const bool other_array = pre.array != post.array && !pre.array.empty() && !post.array.empty();
  if (pre.type != post.type || other_array)
    return fmt::format("{} was {} and is {}", called(post.name), shown_type(pre), shown_type(post));
  if (pre.size != post.size)
    return fmt::format("{} was {} bits wide and is {}", called(post.name), pre.size, post.size);
  if (!is_same_target(pre.target, post.target))
    return fmt::format("{} pointed to {} and points to {}", called(post.name), pre.target,
                       post.target);
  return "";
}

// Of the array or pointer in whose elements or target a member lies: "slots" of "slots[].key".
std::string outer_of(const std::string& name) {
  const size_t end = std::max(name.rfind("->") + 1, name.rfind("[]") + 1);
  return end == 0 ? "" : name.substr(0, end - 1);
}

// Two layouts by the names of their members.
struct Sides {
  Sides(const TypeLayout& pre, const TypeLayout& post) : old(by_name(pre)), now(by_name(post)) {}

  // Whether offsets of the members count from the same thing, which may have another name now.
  bool is_same_outer(const TypeMember& before, const TypeMember& member) const {
    const std::string was = outer_of(before.name), is = outer_of(member.name);
    if (was == is) return true;
    return !was.empty() && !is.empty() && !now.contains(was) && !old.contains(is);
  }
  bool is_same_place(const TypeMember& before, const TypeMember& member) const {
    return before.offset == member.offset && is_same_outer(before, member) &&
           member_difference(before, member).empty();
  }

  const Members old, now;
};

}  // namespace

std::string layout_difference(const TypeLayout& pre, const TypeLayout& post) {
  constexpr size_t Shown = 3;  // of the members that moved: behind one that grew, all do
  const Sides sides(pre, post);
  const auto& [old, now] = sides;
  std::vector<std::string> words;
  size_t moved = 0;
  for (const auto& [name, member] : now) {
    auto before = old.find(name);
    if (before == old.end()) {
      const bool is_known = std::ranges::any_of(
          old, [&](const auto& each) { return sides.is_same_place(*each.second, *member); });
      if (!is_known) words.push_back(fmt::format("{} was added", called(name)));
    } else if (before->second->offset != member->offset) {
      if (++moved <= Shown)
        words.push_back(fmt::format("{} moved from bit {} to bit {}", called(name),
                                    before->second->offset, member->offset));
    } else if (std::string text = member_difference(*before->second, *member); !text.empty()) {
      words.push_back(std::move(text));
    }
  }
  if (moved > Shown) words.push_back(fmt::format("{} further members moved", moved - Shown));
  for (const auto& [name, member] : old) {
    const bool is_kept = now.contains(name) || std::ranges::any_of(now, [&](const auto& each) {
                           return sides.is_same_place(*member, *each.second);
                         });
    if (!is_kept) words.push_back(fmt::format("{} was removed", called(name)));
  }
  if (pre.size != post.size)
    words.push_back(fmt::format("its size changed from {} to {} bytes", pre.size, post.size));
  return fmt::format("{}", fmt::join(words, "; "));
}

std::string alignment_difference(const TypeLayout& pre, const TypeLayout& post) {
  if (pre.alignment == post.alignment || post.name.starts_with(VariablePrefix)) return "";
  return fmt::format("the alignment that it asks for changed from {} to {} bytes", pre.alignment,
                     post.alignment);
}

std::vector<std::string> meaning_differences(const TypeLayout& pre, const TypeLayout& post) {
  std::vector<std::string> words;
  const Sides sides(pre, post);
  auto compare = [&](const TypeMember& before, const TypeMember& member) {
    if (before.alias != member.alias && before.target == member.target)
      words.push_back(fmt::format("{} is declared as {}, and was as {}", called(member.name),
                                  member.alias.empty() ? shown_type(member) : member.alias,
                                  before.alias.empty() ? shown_type(before) : before.alias));
  };
  for (const auto& [name, member] : sides.now) {
    if (auto before = sides.old.find(name); before != sides.old.end()) {
      compare(*before->second, *member);
      continue;
    }
    for (const auto& [old_name, before] : sides.old) {
      if (sides.now.contains(old_name) || !sides.is_same_place(*before, *member)) continue;
      words.push_back(fmt::format("{} is {} now", called(old_name), called(name)));
      compare(*before, *member);
      break;
    }
  }
  return words;
}

std::vector<std::string> prototype_differences(const TypeLayout& pre, const TypeLayout& post) {
  std::vector<std::string> words;
  const Members old = by_name(pre);
  for (const TypeMember& member : post.members) {
    auto before = old.find(member.name);
    if (before == old.end() || before->second->prototype == member.prototype) continue;
    if (before->second->prototype.empty() || member.prototype.empty()) continue;
    words.push_back(fmt::format("{} led to {} and leads to {}", called(member.name),
                                before->second->prototype, member.prototype));
  }
  return words;
}

std::string enum_difference(const EnumLayout& pre, const EnumLayout& post) {
  if (pre.values == post.values) return "";
  const std::map<std::string, int64_t> now(post.values.begin(), post.values.end());
  std::map<int64_t, std::string> old_holders, holders;
  for (const auto& [name, value] : pre.values) old_holders.emplace(value, name);
  for (const auto& [name, value] : post.values) holders.emplace(value, name);
  const bool is_type = pre.is_type || post.is_type;
  for (const auto& [name, value] : pre.values) {
    auto found = now.find(name);
    if (found != now.end() && found->second == value) continue;
    auto other = holders.find(value);
    if (found == now.end()) {
      // Another name for the same value, or a constant that nobody has.
      if (other != holders.end() || !is_type) continue;
      return fmt::format("{}, which is {}, was removed", name, value);
    }
    if (!is_type && other == holders.end() && !old_holders.contains(found->second)) continue;
    std::string text = fmt::format("{} was {} and is {}", name, value, found->second);
    if (other != holders.end()) text += fmt::format("; {} is {} now", value, other->second);
    return text;
  }
  return "";
}

}  // namespace ksplice
