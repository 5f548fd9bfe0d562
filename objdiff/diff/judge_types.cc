// Refuses changes of types that live objects have: of their layout, and of what the values mean
// that they hold.
#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>

#include "objdiff/diff/judge.h"
#include "objdiff/diff/renamed_types.h"

namespace ksplice {

namespace {

// What pre has of that name, in the same function if it has one there.
std::vector<const TypeLayout*> namesakes(const Types& types, const TypeLayout& layout) {
  std::vector<const TypeLayout*> here, anywhere;
  const auto [first, last] = types.equal_range(layout.name);
  for (auto it = first; it != last; ++it) {
    anywhere.push_back(&it->second);
    if (it->second.function == layout.function) here.push_back(&it->second);
  }
  return here.empty() ? anywhere : here;
}

// Macros make variables of one name: what pre has the like of is that, the rest goes in order, and
// one more is new.
const TypeLayout* partner_of_local(const Types& pre, const Types& post, const TypeLayout& layout) {
  auto own = [&](const Types& types) {
    std::vector<const TypeLayout*> result = namesakes(types, layout);
    std::erase_if(result, [&](const auto* each) { return each->function != layout.function; });
    return result;
  };
  std::vector<const TypeLayout*> old = own(pre), now = own(post);
  if (old.size() != now.size()) {
    std::erase_if(now, [&](const TypeLayout* each) {
      auto same = std::find_if(old.begin(), old.end(), [&](const TypeLayout* other) {
        return layout_difference(*other, *each).empty();
      });
      if (same == old.end()) return false;
      old.erase(same);
      return true;
    });
  }
  const auto place = static_cast<size_t>(std::find(now.begin(), now.end(), &layout) - now.begin());
  return place < now.size() && place < old.size() ? old[place] : nullptr;
}

// Of several of one name and function, the one in the same place.
const TypeLayout* partner(const Types& pre, const Types& post, const TypeLayout& layout) {
  if (layout.name.starts_with(LocalTypePrefix) || layout.name.starts_with(LocalPointerPrefix))
    return partner_of_local(pre, post, layout);
  const std::vector<const TypeLayout*> old = namesakes(pre, layout), now = namesakes(post, layout);
  if (old.empty()) return nullptr;
  const auto place = std::find(now.begin(), now.end(), &layout) - now.begin();
  if (old.size() == now.size()) return old[static_cast<size_t>(place)];
  for (const TypeLayout* each : old)
    if (layout_difference(*each, layout).empty()) return each;
  return old.front();
}

// "int of 4 bytes" of "array of 8 int of 4 bytes", or "".
std::string elements_of(const std::string& type) {
  constexpr std::string_view Array = "array of ";
  if (!type.starts_with(Array)) return "";
  const size_t number = type.find(' ', Array.size());
  return number == std::string::npos ? "" : type.substr(number);
}

// By which whoever knows better says that no memory that stays has a type.
constexpr const char* NotLive = "--not-live";

// How the patch can be written so that the layout stays. What is only gone, a member or the end of
// an array, can be left where it is: nothing moves then, and what new code allocates is large
// enough for old code, which runs again after an undo.
std::string advise(const TypeLayout& old, const TypeLayout& layout) {
  // There is one of a variable, and no object to attach anything to.
  const std::string general =
      old.only_on_stack && layout.only_on_stack
          ? "only local variables are seen to be of this type, but whether they point to memory "
            "that stays, or one is copied there, debug information does not show: pass what is new "
            "beside it, in a parameter or a structure of its own"
      : old.name.starts_with(VariablePrefix)
          ? "keep the layout of the variable, and put what is new into one of another name"
          : "keep the layout that live objects have; attach new data with a shadow variable "
            "(ksplice_shadow_get)";
  std::map<std::string, const TypeMember*> now;
  for (const TypeMember& member : layout.members) now[member.name] = &member;
  std::vector<std::string> gone, shorter;
  for (const TypeMember& member : old.members) {
    auto found = now.find(member.name);
    if (found == now.end()) {
      const std::string outer = member.name.substr(0, member.name.find_first_of(".["));
      if (std::count(gone.begin(), gone.end(), outer) == 0) gone.push_back(member.name);
      continue;
    }
    const TypeMember& is = *found->second;
    now.erase(found);
    if (is.type == member.type && is.size == member.size && is.target == member.target) continue;
    const std::string elements = elements_of(is.type);
    if (elements.empty() || elements != elements_of(member.type) || is.size >= member.size)
      return general;
    shorter.push_back(member.name);
  }
  if (!now.empty() || (gone.empty() && shorter.empty())) return general;
  std::string advice;
  if (!gone.empty())
    advice = fmt::format("leave member {} where it was, unused", fmt::join(gone, ", "));
  if (!shorter.empty())
    advice += fmt::format("{}leave {} as long as it was, its end unused",
                          advice.empty() ? "" : "; ", fmt::join(shorter, ", "));
  return advice + ": the layout stays as live objects and the old code have it";
}

// is_certain: where live memory has the old one, new code looks for the new one.
void refuse_layout(Judgement& j, const TypeLayout& old, const TypeLayout& layout,
                   const std::string& difference, bool is_certain) {
  const std::string where = layout.function.empty() ? "" : fmt::format(" of {}()", layout.function);
  const std::string name =
      old.name == layout.name ? layout.name + where
                              : fmt::format("{}, which is {}{} now,", old.name, layout.name, where);
  Refusal& refusal = j.refuse("type_changed", "", layout.name,
                              fmt::format("{} changed: {}", name, difference), advise(old, layout));
  refusal.expected = fmt::format("{}:{}", old.file, old.line);
  refusal.declared = {layout.file, layout.line};
  if (!is_certain || (old.only_on_stack && layout.only_on_stack)) refusal.option = NotLive;
  if (layout.users.empty()) return;
  refusal.found = fmt::format(
      "used by {}",
      fmt::join(layout.users.begin(),
                layout.users.begin() + std::min<std::ptrdiff_t>(std::ssize(layout.users), 12),
                ", "));
}

void note_meaning(Judgement& j, const TypeLayout& old, const TypeLayout& layout) {
  const std::vector<std::string> meanings = meaning_differences(old, layout);
  if (meanings.empty()) return;
  j.notes.push_back(
      fmt::format("in {}, {}: in the same place, so that live objects hold what the old one meant",
                  layout.name, fmt::join(meanings, "; ")));
}

// A local pointer may lead to live memory, which is laid out as before, or to what new code makes.
void note_pointer(Judgement& j, const TypeLayout& layout, const std::string& difference) {
  const bool is_included = std::any_of(
      j.included.begin(), j.included.end(),
      [&](const Atom* function) { return function->name.starts_with(layout.function); });
  if (difference.empty() || !is_included) return;
  j.notes.push_back(fmt::format("{} of {}(), {}: live memory that it reaches is as it was",
                                layout.name, layout.function, difference));
}

// now: layout, by the names that pre has for types.
void judge_layout(Judgement& j, const TypeLayout& old, const TypeLayout& layout,
                  const TypeLayout& now, bool is_certain) {
  std::string difference = layout_difference(old, now);
  if (layout.name.starts_with(LocalPointerPrefix)) return note_pointer(j, layout, difference);
  if (difference.empty()) difference = alignment_difference(old, now);
  const std::vector<std::string> prototypes = prototype_differences(old, now);
  j.types_differ |= !difference.empty() || !prototypes.empty();
  // Also of one that only local variables seem to have (TypeLayout::only_on_stack).
  if (!difference.empty() && !j.included.empty())
    refuse_layout(j, old, layout, difference, is_certain);
  if (difference.empty() && !j.included.empty()) note_meaning(j, old, now);
  for (const std::string& text : prototypes)
    j.notes.push_back(fmt::format(
        "in {}, {}: every function that live objects have there must be in the patch, and is "
        "not looked for",
        layout.name, text));
}

void judge_layouts(Judgement& j) {
  const Types &pre = j.context.pre_debug.types(), &post = j.context.post_debug.types();
  const RenamedTypes renamed(pre, post, j.context.facts.patched_files);
  for (const auto& [name, layout] : post) {
    const TypeLayout* old = partner(pre, post, layout);
    if (old == nullptr) continue;
    if (renamed.pairs().empty())
      judge_layout(j, *old, layout, layout, true);
    else
      judge_layout(j, *old, layout, renamed.by_old_names(layout), true);
  }
  for (const auto& [old, layout, is_certain] : renamed.pairs())
    judge_layout(j, *old, *layout, renamed.by_old_names(*layout), is_certain);
}

// Lists of enumerators by their names and by what they hold.
class EnumIndex {
 public:
  explicit EnumIndex(const std::vector<EnumLayout>& all) : all_(all) {
    for (size_t i = 0; i < all.size(); ++i) {
      if (!all[i].name.empty()) places_.emplace(all[i].function + "/" + all[i].name, i);
      for (const auto& [name, value] : all[i].values)
        places_.emplace(all[i].function + " " + name, i);
    }
  }

  // Those that go by old's name or hold one of its enumerators, as one.
  EnumLayout successor(const EnumLayout& old) const {
    std::set<size_t> found;
    auto look = [&](const std::string& key) {
      const auto [first, last] = places_.equal_range(key);
      for (auto it = first; it != last; ++it) found.insert(it->second);
    };
    if (!old.name.empty()) look(old.function + "/" + old.name);
    for (const auto& [name, value] : old.values) look(old.function + " " + name);
    EnumLayout result;
    for (size_t i : found) {
      result.file = all_[i].file;
      result.line = all_[i].line;
      result.is_type |= all_[i].is_type;
      result.values.insert(result.values.end(), all_[i].values.begin(), all_[i].values.end());
    }
    return result;
  }

 private:
  const std::vector<EnumLayout>& all_;
  std::unordered_multimap<std::string, size_t> places_;
};

void judge_enums(Judgement& j) {
  const EnumIndex post(j.context.post_debug.enums());
  for (const EnumLayout& old : j.context.pre_debug.enums()) {
    const EnumLayout now = post.successor(old);
    if (now.values.empty()) continue;
    const std::string difference = enum_difference(old, now);
    if (difference.empty()) continue;
    j.types_differ = true;
    if (j.included.empty()) continue;
    const std::string name = old.name.empty() ? "enum of " + old.values.front().first : old.name;
    Refusal& refusal =
        j.refuse("type_changed", "", name, fmt::format("{} changed: {}", name, difference),
                 "live objects may hold the old values: leave them as they are, and put new ones "
                 "behind the last");
    refusal.expected = fmt::format("{}:{}", old.file, old.line);
    refusal.found = fmt::format("{}:{}", now.file, now.line);
    refusal.declared = {now.file, now.line};
  }
}

bool checksum_changed(const ChecksumPair& sums) {
  return std::any_of(sums.post.begin(), sums.post.end(), [&](const auto& sum) {
    auto old = sums.pre.find(sum.first);
    return old != sums.pre.end() && old->second != sum.second;
  });
}

}  // namespace

void judge_types(Judgement& j) {
  if (!j.context.pre_debug.present() || !j.context.post_debug.present()) return;
  // Reading all types takes longer than all else. Without new code only an export's checksum
  // asks for them.
  if (j.included.empty() && !checksum_changed(j.context.facts.checksums)) return;
  judge_layouts(j);
  judge_enums(j);
}

}  // namespace ksplice
