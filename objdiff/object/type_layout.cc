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

// Void is any memory, at each depth. Bytes are not: who indexes them steps by one.
bool is_same_target(std::string_view pre, std::string_view post) {
  constexpr std::string_view Pointer = "pointer to ";
  while (pre.starts_with(Pointer) && post.starts_with(Pointer)) {
    pre.remove_prefix(Pointer.size());
    post.remove_prefix(Pointer.size());
  }
  return pre == post || pre.empty() || post.empty();
}

}  // namespace

const std::string& shown_type(const TypeMember& member) {
  return member.array.empty() ? member.type : member.array;
}

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

std::string outer_of(const std::string& name) {
  const size_t end = std::max(name.rfind("->") + 1, name.rfind("[]") + 1);
  return end == 0 ? "" : name.substr(0, end - 1);
}

std::string elements_of(const std::string& type) {
  constexpr std::string_view Array = "array of ";
  if (!type.starts_with(Array)) return "";
  const size_t number = type.find(' ', Array.size());
  return number == std::string::npos ? "" : type.substr(number + 1);
}

namespace {

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

  // Whether the place of a member has another name now, and that one was not elsewhere before, nor
  // the old one is elsewhere now: then they only moved.
  bool is_other_name(const TypeMember& before, const TypeMember& member) const {
    auto stays = [](const Members& members, const TypeMember& each) {
      auto found = members.find(each.name);
      return found == members.end() || found->second->offset == each.offset;
    };
    return is_same_place(before, member) && stays(now, before) && stays(old, member);
  }

  const Members old, now;
};

}  // namespace

LayoutChange compare_layouts(const TypeLayout& pre, const TypeLayout& post) {
  const Sides sides(pre, post);
  const auto& [old, now] = sides;
  LayoutChange change;
  for (const auto& [name, member] : now) {
    auto before = old.find(name);
    if (before == old.end()) {
      const bool is_known = std::ranges::any_of(
          old, [&](const auto& each) { return sides.is_other_name(*each.second, *member); });
      if (!is_known) change.fresh.push_back(member);
    } else if (before->second->offset != member->offset) {
      change.moved.push_back({before->second, member});
    } else if (!member_difference(*before->second, *member).empty()) {
      change.altered.push_back({before->second, member});
    }
  }
  for (const auto& [name, member] : old) {
    const bool is_kept = now.contains(name) || std::ranges::any_of(now, [&](const auto& each) {
                           return sides.is_other_name(*member, *each.second);
                         });
    if (!is_kept) change.gone.push_back(member);
  }
  return change;
}

std::string layout_difference(const TypeLayout& pre, const TypeLayout& post) {
  constexpr size_t Shown = 3;  // of the members that moved: behind one that grew, all do
  const LayoutChange change = compare_layouts(pre, post);
  std::vector<std::string> words;
  for (const TypeMember* member : change.fresh)
    words.push_back(fmt::format("{} was added", called(member->name)));
  for (const auto& [was, is] : change.altered) words.push_back(member_difference(*was, *is));
  for (size_t i = 0; i < std::min(Shown, change.moved.size()); ++i)
    words.push_back(fmt::format("{} moved from bit {} to bit {}", called(change.moved[i].is->name),
                                change.moved[i].was->offset, change.moved[i].is->offset));
  if (change.moved.size() > Shown)
    words.push_back(fmt::format("{} further members moved", change.moved.size() - Shown));
  for (const TypeMember* member : change.gone)
    words.push_back(fmt::format("{} was removed", called(member->name)));
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
    else if (before.sign != nullptr && member.sign != nullptr &&
             before.sign != std::string_view(member.sign))
      words.push_back(
          fmt::format("{} is {}, and was {}", called(member.name), member.sign, before.sign));
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
