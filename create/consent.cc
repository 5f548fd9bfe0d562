#include "create/consent.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "create/progress.h"
#include "objdiff/diff/diff_refusals.h"

namespace ksplice {

namespace {

// Whether anything is left of the patch without its start code.
bool changes_more_than_start(const std::deque<ChangedUnit>& units) {
  for (const ChangedUnit& unit : units)
    for (const FunctionDiff& function : unit.diff.functions)
      if (function.status == DiffStatus::Changed && !is_init_section(function.section) &&
          !function.start_only)
        return true;
  return false;
}

bool is_in(const std::vector<std::string>& list, const std::string& word) {
  return std::count(list.begin(), list.end(), word) != 0;
}

// The variable that a refusal is about, if it can be changed where it is.
DataDiff* find_changeable(std::deque<ChangedUnit>& units, const Refusal& refusal) {
  if (refusal.code != "data_changed") return nullptr;
  for (ChangedUnit& unit : units) {
    if (unit.name != refusal.object) continue;
    for (DataDiff& data : unit.diff.data)
      if (data.name == refusal.symbol && !data.places.empty()) return &data;
  }
  return nullptr;
}

// In each module that the unit is a part of.
void change_in_place(std::deque<ChangedUnit>& units, const Refusal& refusal) {
  for (ChangedUnit& unit : units) {
    if (unit.name != refusal.object) continue;
    for (DataDiff& data : unit.diff.data)
      data.in_place = data.in_place || (data.name == refusal.symbol && !data.places.empty());
  }
}

// "1 pointer and 2 bytes"
std::string places_text(const ChangedPlaces& places) {
  std::vector<std::string> parts;
  if (!places.pointers.empty()) parts.push_back(counted(places.pointers.size(), "pointer"));
  if (!places.values.empty()) parts.push_back(counted(places.values.size(), "byte"));
  return fmt::format("{}", fmt::join(parts, " and "));
}

// The options that would change it in place and are not given.
std::vector<std::string> lacking_options(const Options& options, const DataDiff& data) {
  std::vector<std::string> lacking;
  if (!data.places.pointers.empty() && !is_in(options.change_pointers, data.name))
    lacking.push_back("--change-pointers=" + data.name);
  if (!data.places.values.empty() && !is_in(options.change_values, data.name))
    lacking.push_back("--change-values=" + data.name);
  return lacking;
}

// By which the user takes on that the layout of a type changes.
struct TypeConsent {
  std::string_view option;
  std::vector<std::string> Options::*list;
  const char* said;
  const char* condition;
};
constexpr TypeConsent TypeConsents[] = {
    {"--not-live", &Options::not_live, "not in live memory",
     "no memory that outlives a call is laid out as the old one"},
    {"--zeroed", &Options::zeroed, "zero where it was unused",
     "every live object holds zeros there (it is static, or from kzalloc() or the like, and is not "
     "copied from a stack), and zero is right for it"},
};

const TypeConsent* find_type_consent(const Refusal& refusal) {
  const auto* found = std::ranges::find(TypeConsents, refusal.option, &TypeConsent::option);
  return found == std::end(TypeConsents) ? nullptr : found;
}

// Of start or exit code that changes: what the old one calls that takes other parameters now. A
// module's is still to run: when it is taken out, comes again, or is patched as it comes.
std::string misled_callee(const std::deque<ChangedUnit>& units, const Refusal& refusal) {
  for (const ChangedUnit& unit : units) {
    if (unit.name != refusal.object || unit.target == "vmlinux") continue;
    for (const FunctionDiff& function : unit.diff.functions)
      if (function.name == refusal.symbol && !function.misled.empty()) return function.misled;
  }
  return "";
}

bool is_of_start(const Refusal& refusal) {
  return refusal.code == "init_changed" || refusal.code == "registration_changed";
}

}  // namespace

std::vector<std::string> settle_consent(const Options& options, std::deque<ChangedUnit>& units,
                                        std::vector<Refusal>& refusals) {
  std::vector<std::string> notes;
  for (ChangedUnit& unit : units) unit.begun_anew = options.begin_anew;
  const bool more = changes_more_than_start(units);
  std::set<std::string> needing_start;  // units in which --leave-out-init would not do
  for (const Refusal& refusal : refusals)
    if (refusal.code == "init_needed") needing_start.insert(refusal.object);
  std::erase_if(refusals, [&](Refusal& refusal) {
    const bool is_start = is_of_start(refusal);
    const std::string callee = is_start ? misled_callee(units, refusal) : "";
    if (is_start && more && !callee.empty()) {
      refusal.advice += fmt::format(
          "; --leave-out-init would not do, as its old code, which is still to run, calls {}, "
          "which "
          "takes other parameters now, or may take them, where the compiler decides that",
          callee);
    } else if (is_start && more) {
      if (options.leave_out_init) {
        notes.push_back(fmt::format(
            "{}, as it has run already: {} in {} of {}",
            is_init_section(refusal.section) || refusal.code != "init_changed" ? "left out"
                                                                               : "without effect",
            refusal.symbol, refusal.section, refusal.object));
        return true;
      }
      refusal.advice += needing_start.contains(refusal.object)
                            ? "; --leave-out-init would not do, as new code needs what it sets up"
                            : "; or, if the rest of the patch does not need it, use "
                              "--leave-out-init";
    } else if (is_start) {
      refusal.advice += "; nothing else changes, so there is nothing to replace";
    } else if (refusal.code == "always_busy" && is_in(options.allow_busy, refusal.symbol)) {
      notes.push_back(
          fmt::format("{} may be running at the switch: tasks in it go on in the old "
                      "code",
                      refusal.symbol));
      return true;
    } else if (refusal.code == "state_lost" && is_in(options.begin_anew, refusal.symbol)) {
      notes.push_back(fmt::format("{} begins with its initial value, whatever {} holds",
                                  refusal.symbol, refusal.expected));
      return true;
    } else if (const TypeConsent* consent = find_type_consent(refusal)) {
      if (is_in(options.*(consent->list), refusal.symbol)) {
        const std::string note = fmt::format("{}, as {} says: {}, of which {}", consent->said,
                                             refusal.option, refusal.symbol, refusal.message);
        if (!is_in(notes, note)) notes.push_back(note);
        return true;
      }
      refusal.advice += fmt::format("; or, if {}, use {}='{}'", consent->condition, refusal.option,
                                    refusal.symbol);
    } else if (DataDiff* data = find_changeable(units, refusal)) {
      const std::vector<std::string> lacking = lacking_options(options, *data);
      if (lacking.empty()) {
        change_in_place(units, refusal);
        const std::string note =
            fmt::format("switched with the code: {} of {}{}", places_text(data->places), data->name,
                        refusal.option.empty() ? ", and not in copies of it" : "");
        if (!is_in(notes, note)) notes.push_back(note);
        return true;
      }
      if (refusal.option.empty()) return false;  // somebody seems to have a copy
      refusal.advice +=
          fmt::format("; or, if everything that uses {} reads it anew each time, use {}",
                      data->name, fmt::join(lacking, " "));
    }
    return false;
  });
  return notes;
}

std::vector<Refusal> find_early_refusals(const Options& options, const std::vector<ObjectPair>& own,
                                         std::deque<ChangedUnit>& units) {
  std::vector<Refusal> refusals;
  if (!options.only_targets.empty()) return refusals;
  std::vector<std::string> notes;
  units = diff_pairs(own, refusals, notes);
  settle_consent(options, units, refusals);
  std::erase_if(refusals, is_of_start);
  return refusals;
}

}  // namespace ksplice
