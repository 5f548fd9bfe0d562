#include "create/targets.h"

#include <fmt/core.h>

#include <algorithm>
#include <iterator>
#include <set>

#include "create/absent.h"
#include "create/lower.h"
#include "create/neighbours.h"
#include "objdiff/base/error.h"
#include "objdiff/base/process.h"
#include "objdiff/diff/diff_refusals.h"
#include "objdiff/match/run_pre.h"
#include "objdiff/object/atoms.h"
#include "objdiff/object/elf_read.h"
#include "objdiff/update/global_names.h"

namespace ksplice {

namespace fs = std::filesystem;

namespace {

Refusal absent(const ChangedUnit& unit, const FunctionDiff& function, const FunctionMatch* match) {
  Refusal refusal;
  refusal.code = "no_match";
  refusal.object = unit.name;
  refusal.section = function.section;
  refusal.symbol = function.name;
  std::string why = match != nullptr && !match->reason.empty() ? ": " + match->reason : "";
  refusal.message =
      fmt::format("the running {} has no function {}{}", unit.target, function.name, why);
  refusal.advice = "is SOURCE the running kernel's, with the same configuration and compiler?";
  return refusal;
}

void append(std::vector<Refusal>& to, const std::vector<Refusal>& from) {
  to.insert(to.end(), from.begin(), from.end());
}

// What the differ must report, and what cannot hurt an update: a new export, which only later
// modules would use, is not made; exit code of what is built in is dropped by the kernel's linker.
bool is_harmless(const Refusal& refusal, const std::string& target) {
  return refusal.code == "export_added" || (refusal.code == "init_changed" && target == "vmlinux" &&
                                            refusal.section.rfind(".exit", 0) == 0);
}

ChangedUnit diff_pair(const ObjectPair& pair, ModuleExit module_exit) {
  PairObjects objects = compare_pair(pair, module_exit);
  ChangedUnit unit;
  unit.name = pair.unit;
  unit.target = pair.target;
  unit.pre = std::move(objects.pre);
  unit.post = std::move(objects.post);
  unit.diff = std::move(objects.diff);
  return unit;
}

// What only start code calls has run in vmlinux, as start code itself; in a module it is still to
// run where that comes again. Adds refusals to the unit; returns notes.
std::vector<std::string> judge_start_only(ChangedUnit& unit) {
  std::vector<std::string> notes;
  for (const FunctionDiff& function : unit.diff.functions) {
    if (!function.start_only) continue;
    if (unit.target != "vmlinux") {
      notes.push_back(
          fmt::format("{} of {} runs only when the module is loaded: what it did before "
                      "stays as it is",
                      function.name, unit.target));
      continue;
    }
    Refusal& refusal = unit.diff.refusals.emplace_back();
    refusal.code = "init_changed";
    refusal.object = unit.name;
    refusal.section = function.section;
    refusal.symbol = function.name;
    refusal.message =
        fmt::format("{} changed, and only start code calls it, which has run", function.name);
    refusal.advice =
        "leave it out of the patch; what the change does may be made up for in a ksplice_apply "
        "hook, if it can be done now and for what exists already";
    if (!function.reasons.empty()) {
      refusal.offset = function.reasons.front().offset;
      refusal.found = function.reasons.front().detail;
    }
  }
  return notes;
}

bool is_of_exit(const Refusal& refusal) {
  return refusal.code == "init_changed" && refusal.section == ".exit.text";
}

bool is_of_start(const Refusal& refusal) {
  return (refusal.code == "init_changed" && !is_of_exit(refusal)) ||
         refusal.code == "registration_changed" || refusal.code == "init_needed";
}

// The modules whose exit code changes and whose start code does not. It is still to run, and is
// replaced; together with start code, which has run, it would take down what was never set up.
std::set<std::string> modules_with_new_exit(const std::deque<ChangedUnit>& units) {
  std::set<std::string> exits, starts;
  for (const ChangedUnit& unit : units)
    for (const Refusal& refusal : unit.diff.refusals) {
      if (is_of_exit(refusal)) exits.insert(unit.target);
      if (is_of_start(refusal)) starts.insert(unit.target);
    }
  exits.erase("vmlinux");
  for (const std::string& target : starts) exits.erase(target);
  return exits;
}

}  // namespace

std::deque<ChangedUnit> diff_pairs(const std::vector<ObjectPair>& pairs,
                                   std::vector<Refusal>& refusals,
                                   std::vector<std::string>& notes) {
  auto add_new = [&](const std::vector<std::string>& more) {
    for (const std::string& note : more)
      if (std::count(notes.begin(), notes.end(), note) == 0) notes.push_back(note);
  };
  auto is_nothing = [](const ChangedUnit& unit) {
    return unit.diff.is_nothing() && unit.diff.refusals.empty();
  };
  std::deque<ChangedUnit> units;
  std::vector<const ObjectPair*> compared;  // of units, in the same order
  for (const ObjectPair& pair : pairs) {
    check_interrupted();
    add_new(pair.notes);
    if (pair.same) continue;
    ChangedUnit unit = diff_pair(pair, ModuleExit::Apart);
    if (is_nothing(unit)) {
      add_new(unit.diff.notes);
      continue;
    }
    units.push_back(std::move(unit));
    compared.push_back(&pair);
  }
  const std::set<std::string> modules = modules_with_new_exit(units);
  for (size_t i = 0; i < units.size(); ++i)
    if (modules.contains(units[i].target)) units[i] = diff_pair(*compared[i], ModuleExit::Live);
  for (ChangedUnit& unit : units) {
    add_new(judge_start_only(unit));
    for (const Refusal& refusal : unit.diff.refusals) {
      if (!is_harmless(refusal, unit.target))
        refusals.push_back(refusal);
      else if (refusal.code == "export_added")
        add_new(
            {fmt::format("the new export of {} is for this update only: no module that is "
                         "loaded later finds it",
                         refusal.symbol)});
    }
    add_new(unit.diff.notes);
  }
  std::erase_if(units, is_nothing);
  return units;
}

Images::Images(const KernelConfig& kernel, const fs::path& cache, const fs::path& work,
               const std::vector<Package>& lowers)
    : kernel_(kernel), lowers_(lowers), work_(work) {
  RunImage image = read_run_image(kernel.image.string(), cache.string());
  if (image.is_module())
    throw Error("bad_config", fmt::format("{} is a module, not a kernel", kernel.image.string()));
  if (image.release != kernel.release)
    throw Error("bad_config",
                fmt::format("{} is kernel {}, but {} is of {}", kernel.image.string(),
                            image.release, kernel.build.string(), kernel.release),
                "the files of a configuration directory must be of one kernel");
  add_lower_updates(image, lowers_, image.build_id);
  images_.emplace("vmlinux", std::move(image));
}

const RunImage& Images::get(const std::string& target) {
  auto known = images_.find(target);
  if (known != images_.end()) return known->second;
  if (modules_.empty()) modules_ = find_modules(kernel_);
  auto file = modules_.find(target);
  if (file == modules_.end())
    throw Error("target_not_found",
                fmt::format("the patch changes module {}, and no {}.ko is in {} or {}", target,
                            target, kernel_.modules.string(), kernel_.build.string()),
                "the configuration directory needs a link modules to the modules' folder; a module "
                "that the patch adds needs no update: build it and load it");
  RunImage image = read_run_image(plain_module(file->second, work_).string());
  add_lower_updates(image, lowers_, vmlinux().build_id);
  return images_.emplace(target, std::move(image)).first->second;
}

const RunTypes& Images::types(const std::string& target) {
  auto known = types_.find(target);
  if (known != types_.end()) return known->second;
  const RunTypes* kernel = target == "vmlinux" ? nullptr : &types("vmlinux");
  return types_.emplace(target, RunTypes(get(target), kernel)).first->second;
}

namespace {

std::vector<std::string> changed_functions(const ObjectDiff& diff) {
  std::vector<std::string> names;
  for (const FunctionDiff& function : diff.functions)
    if (function.status == DiffStatus::Changed) names.push_back(function.name);
  return names;
}

}  // namespace

void match_units(std::deque<ChangedUnit>& units, Images& images, std::vector<Refusal>& refusals,
                 std::vector<std::string>& notes) {
  for (ChangedUnit& unit : units) {
    check_interrupted();
    unit.match = match_run_pre(unit.pre, images.get(unit.target));
    append(refusals, unit.match.contradictions);
    for (std::string& note : leave_out_absent(unit, images.get(unit.target)))
      notes.push_back(std::move(note));
    auto wrong = check_types(unit.pre, &unit.post, images.types(unit.target));
    if (wrong) refusals.push_back(std::move(*wrong));
    append(refusals,
           check_ids(unit.pre, unit.post, changed_functions(unit.diff), images.types(unit.target)));
    for (const FunctionDiff& function : unit.diff.functions) {
      if (function.status != DiffStatus::Changed || function.pre == nullptr) continue;
      const FunctionMatch* match = unit.match.find(function.pre);
      if (match != nullptr && match->status == MatchStatus::Matched) continue;
      bool mismatch = match != nullptr && match->status == MatchStatus::Mismatched;
      refusals.push_back(mismatch ? match->refusal : absent(unit, function, match));
    }
  }
}

bool changes_names(const ChangedUnit& unit) {
  return !unit.diff.new_globals.empty() || !unit.diff.gone_globals.empty();
}

void judge_names(const std::deque<ChangedUnit>& units, Images& images,
                 std::vector<Refusal>& refusals) {
  std::map<std::string, std::vector<Unit>> by_target;
  for (const ChangedUnit& unit : units)
    by_target[unit.target].push_back({unit.name, &unit.pre, &unit.post, &unit.diff, &unit.match});
  for (const auto& [target, of_target] : by_target)
    append(refusals, refuse_moved_names(of_target, images.get(target), images.vmlinux()));
  std::vector<Refusal> moved = refuse_moved_state(by_target);
  std::erase_if(moved, [&](const Refusal& refusal) {
    return std::ranges::any_of(units, [&](const ChangedUnit& unit) {
      return std::ranges::count(unit.begun_anew, refusal.symbol) != 0;
    });
  });
  append(refusals, moved);
}

std::vector<TargetUpdate> make_updates(const std::deque<ChangedUnit>& units, Images& images,
                                       const std::string& id, const std::string& description,
                                       std::vector<Refusal>& refusals) {
  std::map<std::string, std::vector<Unit>> by_target;
  std::map<std::string, std::string> modules;
  for (const ChangedUnit& unit : units)
    if (has_changes(unit)) modules[unit.target] = fmt::format("ksplice_{}_{}", id, unit.target);
  for (const ChangedUnit& unit : units) {
    const Unit each{unit.name, &unit.pre, &unit.post, &unit.diff, &unit.match};
    // A unit without a change can have what others of its target use now.
    if (modules.contains(unit.target) && (has_changes(unit) || !unit.diff.made_global.empty()))
      by_target[unit.target].push_back(each);
  }
  judge_names(units, images, refusals);
  UpdateInfo info;
  info.id = id;
  info.description = description;
  info.nr_objects = static_cast<uint32_t>(by_target.size());
  info.neighbours = find_neighbours(units, images, modules);
  std::vector<TargetUpdate> updates;
  for (const std::string& target : users_first(by_target, info.neighbours)) {
    TargetUpdate update;
    update.target = target;
    update.module = modules.at(target);
    info.wanted.clear();
    for (const TargetUpdate& user : updates) add_wanted(user, update.module, info);
    update.update =
        make_update_object(by_target.at(target), images.get(target), images.vmlinux(), info);
    append(refusals, update.update.refusals);
    updates.push_back(std::move(update));
  }
  std::reverse(updates.begin(), updates.end());
  return updates;
}

PackageTarget describe_target(const TargetUpdate& target, const std::deque<ChangedUnit>& units,
                              Images& images) {
  const RunImage& image = images.get(target.target);
  PackageTarget result;
  result.name = target.target;
  result.module = target.module;
  result.build_id = image.build_id;
  result.added = target.update.added;
  for (const GivenAway& away : target.update.given_away)
    result.given_away.push_back(away.sentence());
  result.kept = target.update.is_kept();
  for (const NeighbourUse& use : target.update.uses)
    if (!use.module.empty() && std::count(result.uses.begin(), result.uses.end(), use.module) == 0)
      result.uses.push_back(use.module);
  for (const std::string& module : target.update.needs)
    for (const RunImage* each : {&image, &images.vmlinux()}) {
      auto lower = std::ranges::find(each->lowers, module, &RunLower::module);
      if (lower == each->lowers.end()) continue;
      result.stands_on.push_back({lower->id, lower->module, lower->build_id});
      break;
    }
  for (const ChangedUnit& unit : units) {
    if (unit.target != target.target) continue;
    for (const FunctionDiff& function : unit.diff.functions) {
      if (function.status != DiffStatus::Changed && function.status != DiffStatus::New) continue;
      if (is_init_section(function.section)) continue;  // it is left out
      PackageFunction entry;
      entry.name = function.name;
      entry.unit = unit.name;
      entry.status = function.status == DiffStatus::Changed ? "changed" : "new";
      auto cause = unit.causes.find(function.name);
      if (cause != unit.causes.end() && !cause->second.empty())
        entry.reasons.push_back({{"kind", "patch"}, {"source", cause->second}});
      for (const Reason& reason : function.reasons)
        entry.reasons.push_back({{"kind", reason.kind},
                                 {"detail", reason.detail},
                                 {"before", reason.before},
                                 {"source", reason.source},
                                 {"offset", reason.offset}});
      result.functions.push_back(std::move(entry));
    }
  }
  return result;
}

std::vector<std::string> describe_given_away(const TargetUpdate& target) {
  constexpr size_t Shown = 4;
  const std::vector<GivenAway>& all = target.update.given_away;
  std::vector<std::string> notes;
  if (all.empty()) return notes;
  for (size_t i = 0; i < std::min(Shown, all.size()); ++i)
    notes.push_back(
        fmt::format("may be in use after an undo of {}: {}", target.target, all[i].sentence()));
  if (all.size() > Shown)
    notes.push_back(fmt::format("may be in use after an undo of {}: {} more", target.target,
                                all.size() - Shown));
  notes.push_back(target.update.is_kept()
                      ? fmt::format("an undo keeps {} in memory; the patch can prevent that with "
                                    "reverse hooks and ksplice_addresses_removed()",
                                    target.module)
                      : "the patch declares that its reverse hooks take these addresses back");
  return notes;
}

}  // namespace ksplice
