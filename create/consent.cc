#include "create/consent.h"

#include <fmt/core.h>

#include <algorithm>

#include "objdiff/diff_refusals.h"

namespace ksplice {

namespace {

// Whether anything is left of the patch without its start code.
bool changes_more_than_start(const std::deque<ChangedUnit>& units) {
  for (const ChangedUnit& unit : units)
    for (const FunctionDiff& function : unit.diff.functions)
      if (function.status == DiffStatus::Changed && !is_init_section(function.section)) return true;
  return false;
}

}  // namespace

std::vector<std::string> settle_consent(const Options& options,
                                        const std::deque<ChangedUnit>& units,
                                        std::vector<Refusal>& refusals) {
  std::vector<std::string> notes;
  const bool more = changes_more_than_start(units);
  std::erase_if(refusals, [&](Refusal& refusal) {
    if (refusal.code == "init_changed" && more) {
      if (options.leave_out_init) {
        notes.push_back(fmt::format("left out, as it has run already: {} in {} of {}",
                                    refusal.symbol, refusal.section, refusal.object));
        return true;
      }
      refusal.advice += "; or, if the rest of the patch does not need it, use --leave-out-init";
    } else if (refusal.code == "init_changed") {
      refusal.advice += "; nothing else changes, so there is nothing to replace";
    } else if (refusal.code == "always_busy" &&
               std::count(options.allow_busy.begin(), options.allow_busy.end(), refusal.symbol) !=
                   0) {
      notes.push_back(
          fmt::format("{} may be running at the switch: tasks in it go on in the old "
                      "code",
                      refusal.symbol));
      return true;
    }
    return false;
  });
  return notes;
}

}  // namespace ksplice
