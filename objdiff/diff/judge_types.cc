// Refuses changes of types that live objects have: of their layout, and of what the values mean
// that they hold.
#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <unordered_map>

#include "objdiff/diff/judge.h"
#include "objdiff/diff/layout_advice.h"
#include "objdiff/diff/layout_rules.h"
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

// By which whoever knows better says that no memory that stays has a type, and that all that has
// it holds zeros where a new member is.
constexpr const char *NotLive = "--not-live", *Zeroed = "--zeroed";

// is_certain: where live memory has the old one, new code looks for the new one.
void refuse_layout(Judgement& j, const TypeLayout& old, const TypeLayout& layout,
                   const std::string& difference, const LayoutVerdict& verdict, bool is_certain) {
  const std::string where = layout.function.empty() ? "" : fmt::format(" of {}()", layout.function);
  const std::string name =
      old.name == layout.name ? layout.name + where
                              : fmt::format("{}, which is {}{} now,", old.name, layout.name, where);
  Refusal& refusal =
      j.refuse("type_changed", "", layout.name, fmt::format("{} changed: {}", name, difference),
               advise_on_layout(j, old, layout, verdict));
  refusal.expected = fmt::format("{}:{}", old.file, old.line);
  refusal.declared = {layout.file, layout.line};
  if (verdict.only_fills && is_certain) refusal.option = Zeroed;
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
void judge_layout(Judgement& j, const LayoutRules& rules, const TypeLayout& old,
                  const TypeLayout& layout, const TypeLayout& now, bool is_certain) {
  std::string difference = layout_difference(old, now);
  if (layout.name.starts_with(LocalPointerPrefix)) return note_pointer(j, layout, difference);
  if (const std::string alignment = alignment_difference(old, now); !alignment.empty())
    difference += (difference.empty() ? "" : "; ") + alignment;
  const std::vector<std::string> prototypes = prototype_differences(old, now);
  j.types_differ |= !difference.empty() || !prototypes.empty();
  // Also of one that only local variables seem to have (TypeLayout::only_on_stack).
  if (!difference.empty() && !j.included.empty()) {
    const LayoutVerdict verdict = rules.judge(old, now);
    if (!verdict.is_allowed)
      refuse_layout(j, old, layout, difference, verdict, is_certain);
    else
      j.notes.push_back(fmt::format("in {}, {}", layout.name, fmt::join(verdict.allowed, "; ")));
  }
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
  const LayoutRules rules(pre, post, renamed);
  for (const auto& [name, layout] : post) {
    const TypeLayout* old = partner(pre, post, layout);
    if (old == nullptr) continue;
    if (renamed.pairs().empty())
      judge_layout(j, rules, *old, layout, layout, true);
    else
      judge_layout(j, rules, *old, layout, renamed.by_old_names(layout), true);
  }
  for (const auto& [old, layout, is_certain] : renamed.pairs())
    judge_layout(j, rules, *old, *layout, renamed.by_old_names(*layout), is_certain);
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

// The values as they can stay, and those that new ones can have.
std::string advise_on_enum(const EnumLayout& old, const EnumLayout& now) {
  std::vector<std::string> leave, give;
  int64_t last = 0;
  for (const auto& [name, value] : old.values) {
    last = std::max(last, value);
    if (std::ranges::find(now.values, std::pair(name, value)) == now.values.end())
      leave.push_back(fmt::format("{} = {}", name, value));
  }
  const bool is_flags =
      std::ranges::any_of(now.values, [](const auto& each) { return each.second > 2; }) &&
      std::ranges::all_of(now.values, [](const auto& each) {
        return each.second >= 0 && (each.second & (each.second - 1)) == 0;
      });
  for (const auto& [name, value] : now.values) {
    const bool is_old = std::ranges::any_of(
        old.values, [&, name = name](const auto& each) { return each.first == name; });
    if (is_old) continue;
    last = is_flags ? last * 2 : last + 1;
    give.push_back(fmt::format("{} = {}", name, last));
  }
  std::string advice =
      fmt::format("live objects may hold the old values: leave {}", fmt::join(leave, ", "));
  if (!give.empty())
    advice += fmt::format(", and put what is new behind the last: {}", fmt::join(give, ", "));
  return advice;
}

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
                 advise_on_enum(old, now));
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
