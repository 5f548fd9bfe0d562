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

bool has_same_place(const TypeLayout& layout, const TypeMember& member) {
  return std::any_of(layout.members.begin(), layout.members.end(), [&](const TypeMember& other) {
    return other.offset == member.offset && member_difference(other, member).empty();
  });
}

}  // namespace

std::string layout_difference(const TypeLayout& pre, const TypeLayout& post) {
  constexpr size_t Shown = 3;  // of the members that moved: behind one that grew, all do
  const Members old = by_name(pre), now = by_name(post);
  std::vector<std::string> words;
  size_t moved = 0;
  for (const auto& [name, member] : now) {
    auto before = old.find(name);
    if (before == old.end()) {
      if (!has_same_place(pre, *member)) words.push_back(fmt::format("{} was added", called(name)));
    } else if (before->second->offset != member->offset) {
      if (++moved <= Shown)
        words.push_back(fmt::format("{} moved from bit {} to bit {}", called(name),
                                    before->second->offset, member->offset));
    } else if (std::string text = member_difference(*before->second, *member); !text.empty()) {
      words.push_back(std::move(text));
    }
  }
  if (moved > Shown) words.push_back(fmt::format("{} further members moved", moved - Shown));
  for (const auto& [name, member] : old)
    if (!now.contains(name) && !has_same_place(post, *member))
      words.push_back(fmt::format("{} was removed", called(name)));
  if (pre.size != post.size)
    words.push_back(fmt::format("its size changed from {} to {} bytes", pre.size, post.size));
  return fmt::format("{}", fmt::join(words, "; "));
}

std::string alignment_difference(const TypeLayout& pre, const TypeLayout& post) {
  if (pre.alignment == post.alignment || post.name.starts_with("variable ")) return "";
  return fmt::format("the alignment that it asks for changed from {} to {} bytes", pre.alignment,
                     post.alignment);
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
