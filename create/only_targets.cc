#include "create/only_targets.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "create/options.h"
#include "create/units.h"
#include "objdiff/base/error.h"

namespace ksplice {

namespace {

bool is_wanted(const std::string& target, const std::vector<std::string>& patterns) {
  return patterns.empty() || std::any_of(patterns.begin(), patterns.end(), [&](const auto& each) {
           return matches_pattern(target, each);
         });
}

}  // namespace

void leave_out_targets(std::vector<AffectedUnit>& units, const std::vector<std::string>& only,
                       Progress& progress) {
  std::vector<std::string> left_out;
  std::erase_if(units, [&](const AffectedUnit& unit) {
    const std::vector<std::string> targets = split_modules(unit.target);
    if (targets.empty() || std::any_of(targets.begin(), targets.end(),
                                       [&](const auto& target) { return is_wanted(target, only); }))
      return false;
    left_out.push_back(
        fmt::format("{} of {}", unit.post.empty() ? unit.pre : unit.post, unit.target));
    return true;
  });
  if (units.empty() && !left_out.empty())
    throw Error("no_change",
                fmt::format("no changes detected: --only-targets leaves out all of\n  {}",
                            fmt::join(left_out, "\n  ")));
  for (std::string& name : left_out) name += " is left out by --only-targets";
  progress.notes(left_out);
}

void leave_out_targets(std::vector<ObjectPair>& pairs, const std::vector<std::string>& only,
                       Progress& progress) {
  std::string left_out;
  std::erase_if(pairs, [&](const ObjectPair& pair) {
    if (is_wanted(pair.target, only)) return false;
    left_out += fmt::format("\n  {} of {}", pair.unit, pair.target);
    progress.note(fmt::format("{} of {} is left out by --only-targets", pair.unit, pair.target));
    return true;
  });
  if (pairs.empty() && !left_out.empty())
    throw Error("no_change", "no changes detected: --only-targets leaves out all of" + left_out);
}

}  // namespace ksplice
