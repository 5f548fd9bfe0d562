#include "objdiff/diff/renamed_types.h"

#include <algorithm>
#include <set>
#include <string_view>

namespace ksplice {

namespace {

// Variables are judged as such, and what a local pointer leads to by its type.
bool is_type(const std::string& name) {
  return !name.starts_with(VariablePrefix) && !name.starts_with(LocalPointerPrefix);
}

// What goes by a variable's name is the same only in the same function.
bool is_namesake(const TypeLayout& one, const TypeLayout& other) {
  for (std::string_view prefix : {VariablePrefix, LocalTypePrefix, LocalPointerPrefix})
    if (one.name.starts_with(prefix)) return one.function == other.function;
  return true;
}

bool contains(const Types& types, const TypeLayout& layout) {
  const auto [first, last] = types.equal_range(layout.name);
  return std::any_of(first, last,
                     [&](const auto& each) { return is_namesake(layout, each.second); });
}

std::map<std::string, std::vector<const TypeLayout*>> only_in(const Types& types,
                                                              const Types& other) {
  std::map<std::string, std::vector<const TypeLayout*>> result;
  for (const auto& [name, layout] : types)
    if (is_type(name) && !contains(other, layout)) result[name].push_back(&layout);
  return result;
}

// Where the name begins in "pointer to array of 4 struct foo".
size_t core_of(std::string_view text) {
  constexpr std::string_view Pointer = "pointer to ", Array = "array of ";
  size_t at = 0;
  while (true) {
    const std::string_view rest = text.substr(at);
    if (rest.starts_with(Pointer)) {
      at += Pointer.size();
    } else if (const size_t space = rest.find(' ', Array.size());
               rest.starts_with(Array) && space != std::string_view::npos) {
      at += space + 1;
    } else {
      return at;
    }
  }
}

// What a member is made of or leads to.
std::string core_type_of(const TypeMember& member) {
  const std::string& text = member.target.empty() ? member.type : member.target;
  return text.substr(core_of(text));
}

std::set<std::string> functions_of(const TypeLayout& layout) {
  std::set<std::string> result;
  for (const TypeUse& use : layout.uses)
    if (!use.function.empty()) result.insert(use.function);
  return result;
}

// Whether what is gone from the file is no longer declared there, as far as can be known.
bool may_lose(const std::string& file, const std::set<std::string>& patched) {
  return patched.empty() || std::ranges::any_of(patched, [&](const std::string& each) {
           return file == each || file.ends_with("/" + each);
         });
}

// A unit sees no more of a header than it uses: what is gone from there may only be unused. Then a
// function must have gone from the one to the other. Of what no function has a variable or pointer,
// the static variables are judged (judge_state.cc).
bool may_be_one(const TypeLayout& old, const TypeLayout& now) {
  const std::set<std::string> before = functions_of(old), after = functions_of(now);
  if (before.empty() || after.empty()) return false;
  if (old.file == now.file && !old.file.ends_with(".h")) return true;
  return std::ranges::any_of(after, [&](const auto& each) { return before.contains(each); });
}

}  // namespace

RenamedTypes::RenamedTypes(const Types& pre, const Types& post,
                           const std::set<std::string>& patched)
    : gone_(only_in(pre, post)), fresh_(only_in(post, pre)) {
  if (gone_.empty() || fresh_.empty()) return;
  for (const auto& [name, layout] : post) {
    const auto [first, last] = pre.equal_range(name);
    for (auto it = first; it != last; ++it)
      if (is_namesake(it->second, layout))
        pair_by_members(it->second, layout, !name.starts_with(LocalPointerPrefix));
  }
  pair_by_variables();
  auto follow = [&](size_t from) {
    for (; from < pairs_.size(); ++from) {
      const Pair pair = pairs_[from];
      pair_by_members(*pair.old, *pair.now, pair.is_certain);
    }
    return from;
  };
  const size_t done = follow(0);
  pair_by_functions(patched);
  follow(done);
}

void RenamedTypes::add(const TypeLayout& old, const TypeLayout& now, bool is_certain) {
  const Pair pair{&old, &now, is_certain};
  if (std::ranges::find(pairs_, pair) != pairs_.end()) return;
  pairs_.push_back(pair);
  old_names_.emplace(now.name, old.name);
}

void RenamedTypes::pair_by_variables() {
  std::map<TypeUse, const TypeLayout*> before;
  for (const auto& [name, layouts] : gone_)
    for (const TypeLayout* layout : layouts)
      for (const TypeUse& use : layout->uses) before.emplace(use, layout);
  for (const auto& [name, layouts] : fresh_)
    for (const TypeLayout* layout : layouts)
      for (const TypeUse& use : layout->uses)
        if (auto found = before.find(use); found != before.end())
          add(*found->second, *layout, use.function.empty());
}

void RenamedTypes::pair_by_members(const TypeLayout& old, const TypeLayout& now, bool is_certain) {
  std::map<std::string_view, const TypeMember*> before;
  for (const TypeMember& member : old.members) before.emplace(member.name, &member);
  for (const TypeMember& member : now.members) {
    auto found = before.find(member.name);
    if (found == before.end()) continue;
    auto was = gone_.find(core_type_of(*found->second));
    auto is = fresh_.find(core_type_of(member));
    if (was != gone_.end() && is != fresh_.end())
      add(*was->second.front(), *is->second.front(), is_certain);
  }
}

void RenamedTypes::pair_by_functions(const std::set<std::string>& patched) {
  std::set<std::string> known;
  for (const Pair& pair : pairs_) known.insert({pair.old->name, pair.now->name});
  for (const auto& [old_name, layouts] : gone_) {
    if (known.contains(old_name)) continue;
    const TypeLayout& old = *layouts.front();
    if (!may_lose(old.file, patched)) continue;
    std::vector<const TypeLayout*> candidates;
    for (const auto& [name, others] : fresh_)
      if (!known.contains(name) && (!patched.empty() || others.front()->file == old.file) &&
          may_be_one(old, *others.front()))
        candidates.push_back(others.front());
    if (candidates.empty()) continue;
    // Of several, one that is the same but for its name is it.
    auto same = std::ranges::find_if(candidates, [&](const TypeLayout* each) {
      return layout_difference(old, by_old_names(*each)).empty();
    });
    add(old, same == candidates.end() ? *candidates.front() : **same, false);
  }
}

TypeLayout RenamedTypes::by_old_names(const TypeLayout& layout) const {
  TypeLayout result = layout;
  auto rename = [&](std::string& text) {
    const size_t at = core_of(text);
    if (auto found = old_names_.find(text.substr(at)); found != old_names_.end())
      text.replace(at, std::string::npos, found->second);
  };
  for (TypeMember& member : result.members)
    for (std::string* text : {&member.type, &member.array, &member.target, &member.alias})
      rename(*text);
  return result;
}

}  // namespace ksplice
