// Refuses variables that lose what they hold, because the patch gives them another name: the new
// one is brought along and begins with its initial value, while the old one keeps the state and the
// waiters.
//
// Taken for the same: one that is gone and one that is new, and a function that is in both objects
// used the first and uses the second, whatever they are: a counter may have become a wider one, or
// a member of a structure. Where the users have other names, too, whatever is gone may be what is
// new. Flags and the like of macros come and
// go (correlate_state.h) and are not looked at. What is only gone is worth a note.
#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "objdiff/diff/correlate_state.h"
#include "objdiff/diff/judge.h"
#include "objdiff/diff/uses.h"

namespace ksplice {

namespace {

bool is_percpu(const Atom& atom) { return atom.section->name.find("percpu") != std::string::npos; }

const TypeLayout* type_of(const DebugInfo& debug, const Atom& atom) {
  const std::string function = debug.function_of_variable(atom.section, atom.offset);
  const auto [begin, end] =
      debug.types().equal_range(std::string(VariablePrefix) + source_name(atom));
  auto found = std::find_if(begin, end, [&](const auto& each) {
    return each.second.function == function && each.second.size == atom.size;
  });
  return found == end ? nullptr : &found->second;
}

bool may_be_one(const Judgement& j, const Atom& pre, const Atom& post) {
  if (pre.size != post.size || is_percpu(pre) != is_percpu(post)) return false;
  const TypeLayout* was = type_of(j.context.pre_debug, pre);
  const TypeLayout* is = type_of(j.context.post_debug, post);
  if (was == nullptr || is == nullptr) return true;
  return layout_difference(*was, *is).empty();
}

std::set<const Atom*> used_by(const Uses& uses, const Atom& function) {
  std::set<const Atom*> result;
  for (const Use& use : uses.of(function)) result.insert(use.reference.atom);
  return result;
}

using Variables = std::vector<const Atom*>;

void refuse_lost(Judgement& j, const Atom& old, const Atom& variable, const std::string& how) {
  Refusal& refusal = j.refuse(
      "state_lost", variable.section->name, variable.name,
      fmt::format("{}: what the running kernel keeps in {} would be lost, as {} begins with its "
                  "initial value",
                  how, old.name, variable.name),
      fmt::format(
          "keep {} as it is; if {} is another variable, of which the initial value is right "
          "in a kernel that runs, use --begin-anew={}",
          source_name(old), source_name(variable), variable.name));
  refusal.expected = old.name;
  refusal.found = variable.name;
}

// Those of all that are in some and not in others.
Variables only_in(const Variables& all, const std::set<const Atom*>& some,
                  const std::set<const Atom*>& others) {
  Variables result;
  std::copy_if(all.begin(), all.end(), std::back_inserter(result),
               [&](const Atom* each) { return some.contains(each) && !others.contains(each); });
  return result;
}

// Takes out of both what a function that stays used and uses instead.
void judge_users(Judgement& j, Variables& gone, Variables& added) {
  const Uses pre_uses(j.context.pre, j.context.pre_tables);
  const Uses post_uses(j.context.post, j.context.post_tables);
  std::set<const Atom*> succeeded, successors;
  for (const Atom& function : j.context.post.all()) {
    const Atom* before = function.is_function() ? j.context.correlation.pre(&function) : nullptr;
    if (before == nullptr || !j.included.contains(&function)) continue;
    const std::set<const Atom*> is = used_by(post_uses, function);
    const std::set<const Atom*> was = used_by(pre_uses, *before);
    const Variables old = only_in(gone, was, is), now = only_in(added, is, was);
    if (old.empty() || now.empty()) continue;
    succeeded.insert(old.begin(), old.end());
    for (const Atom* variable : now) {
      if (!successors.insert(variable).second) continue;
      auto alike = std::find_if(old.begin(), old.end(),
                                [&](const Atom* each) { return may_be_one(j, *each, *variable); });
      const Atom& one = alike == old.end() ? *old.front() : **alike;
      refuse_lost(
          j, one, *variable,
          fmt::format("{} used {} and uses {} now", function.name, one.name, variable->name));
    }
  }
  std::erase_if(gone, [&](const Atom* each) { return succeeded.contains(each); });
  std::erase_if(added, [&](const Atom* each) { return successors.contains(each); });
}

// What no function that stays uses: where the functions have other names now as well, nothing
// tells whether the variables are one. Those of one type more likely are.
void judge_rest(Judgement& j, Variables& all_gone, Variables added) {
  const Uses pre_uses(j.context.pre, j.context.pre_tables);
  const Uses post_uses(j.context.post, j.context.post_tables);
  std::set<const Atom*> was, is;
  for (const Atom& function : j.context.post.all()) {
    const Atom* before = function.is_function() ? j.context.correlation.pre(&function) : nullptr;
    if (before == nullptr) continue;
    was.merge(used_by(pre_uses, *before));
    is.merge(used_by(post_uses, function));
  }
  Variables gone = all_gone;
  std::erase_if(gone, [&](const Atom* each) { return was.contains(each); });
  std::erase_if(added, [&](const Atom* each) { return is.contains(each); });
  for (const Atom* variable : added) {
    auto old = std::find_if(gone.begin(), gone.end(),
                            [&](const Atom* each) { return may_be_one(j, *each, *variable); });
    const bool is_alike = old != gone.end();
    if (!is_alike) old = gone.begin();
    if (old == gone.end()) break;
    refuse_lost(
        j, **old, *variable,
        fmt::format("{} is gone and {} is new, {}", (*old)->name, variable->name,
                    is_alike ? "which is alike" : "and no function that stays tells them apart"));
    std::erase(all_gone, *old);
    gone.erase(old);
  }
}

}  // namespace

void judge_state(Judgement& j) {
  Variables gone, added;
  const Variables& ambiguous = j.context.correlation.ambiguous;  // refused as such
  for (const DataDiff& data : j.context.diff.data) {
    const bool is_new = data.status == DiffStatus::New;
    if (!is_new && data.status != DiffStatus::Removed) continue;
    const Atom* atom = is_new ? j.context.post.of(data.post) : j.context.pre.of(data.pre);
    if (std::find(ambiguous.begin(), ambiguous.end(), atom) != ambiguous.end()) continue;
    if (atom != nullptr && is_state(*atom)) (is_new ? added : gone).push_back(atom);
  }
  if (!gone.empty() && !added.empty()) {
    judge_users(j, gone, added);
    judge_rest(j, gone, added);
  }
  for (const Atom* atom : gone)
    if (std::none_of(ambiguous.begin(), ambiguous.end(),
                     [&](const Atom* other) { return source_name(*other) == source_name(*atom); }))
      j.notes.push_back(fmt::format(
          "{} is not used any more: what the running kernel keeps in it is not looked at",
          atom->name));
}

}  // namespace ksplice
