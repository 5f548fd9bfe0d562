// Which targets of a package this host patches, and their modules finished for this boot.
#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "apply/abort_codes.h"
#include "apply/kernel_updates.h"
#include "apply/load.h"
#include "apply/trust.h"
#include "objdiff/base/error.h"
#include "objdiff/base/file.h"
#include "objdiff/update/finalize.h"

namespace ksplice {

namespace {

[[noreturn]] void refuse(const std::string& code, const std::string& object,
                         const std::string& message, const std::string& expected,
                         const std::string& found, const std::string& advice) {
  Refusal refusal;
  refusal.code = code;
  refusal.object = object;
  refusal.message = message;
  refusal.expected = expected;
  refusal.found = found;
  refusal.advice = advice;
  throw Refused({refusal});
}

const PackageKernel& find_kernel(const Host& host, const Package& package) {
  std::string build_id = host.build_id();
  std::string expected;
  for (const PackageKernel& kernel : package.kernels) {
    if (kernel.build_id == build_id) return kernel;
    if (!expected.empty()) expected += "\n";
    expected += fmt::format("{}, build id {}", kernel.release, kernel.build_id);
  }
  refuse("wrong_kernel", package.id, "the update is not for the running kernel", expected,
         fmt::format("{}, build id {}", host.release(), build_id),
         "create the update for the running kernel");
}

// The addresses in the updates below are computed from where their modules' sections are, which is
// right for these builds of them only.
void check_lower(const Host& host, const std::string& id, const PackageTarget& target,
                 const PackageLower& lower) {
  std::optional<UpdateState> state = read_update(host, lower.id);
  bool covers = false;
  if (state && state->stage == "applied")
    for (const TargetState& each : state->targets)
      covers = covers || (each.module == lower.module && each.state == "applied");
  if (!covers)
    refuse("needs_update", id,
           fmt::format("the update stands on update {}, which is not applied to {}", lower.id,
                       target.name),
           fmt::format("update {}, module {}, build id {}", lower.id, lower.module, lower.build_id),
           !state                      ? "no update of that id"
           : state->stage == "applied" ? "the update, without that target"
                                       : "the update, in stage " + state->stage,
           fmt::format("apply update {} first, or create this update without it", lower.id));
  std::string build_id = host.module_build_id(lower.module);
  if (build_id != lower.build_id)
    refuse(
        "wrong_update", id,
        fmt::format("update {} here is not the one that this update was made on top of", lower.id),
        "build id " + lower.build_id, build_id.empty() ? "no build id" : "build id " + build_id,
        "create this update again, with --on-top-of and the tarball that was applied here");
}

std::vector<uint8_t> finalize(const Host& host, const Package& package, const std::string& file,
                              const std::string& final) {
  const std::vector<uint8_t>& text = package.files.at(final);
  try {
    return finalize_module(package.files.at(file),
                           read_finalization(std::string(text.begin(), text.end())),
                           [&host](const RunLocation& where) { return host.address(where); });
  } catch (const Error& error) {
    throw Error(error.code, fmt::format("{}: {}", file, error.what()), error.hint);
  }
}

// A target whose new code uses what the update brings along for one that is not patched here.
void leave_out_users(const PackageKernel& kernel, bool partial, Plan& plan) {
  std::set<std::string> there;
  for (const PackageTarget& target : kernel.targets) {
    auto planned = std::find(plan.targets.begin(), plan.targets.end(), &target);
    if (planned == plan.targets.end()) continue;
    auto lacks = [&](const std::string& used) { return !there.contains(used); };
    auto missing = std::find_if(target.uses.begin(), target.uses.end(), lacks);
    if (missing == target.uses.end()) {
      there.insert(target.module);
      continue;
    }
    plan.targets.erase(planned);
    plan.skipped.push_back(target.name);
    const bool is_cold =
        std::any_of(kernel.targets.begin(), kernel.targets.end(), [&](const PackageTarget& other) {
          return other.module == *missing &&
                 std::count(plan.cold.begin(), plan.cold.end(), other.name) != 0;
        });
    if (!partial && is_cold)
      refuse("cold_update_loaded", target.name,
             fmt::format("the new code of {} uses {}, and that target was loaded with the patch in "
                         "it",
                         target.name, *missing),
             "", "", fmt::format("load {} with the patch in it, too", target.name));
  }
}

}  // namespace

Plan make_plan(const Host& host, const Package& package, bool partial, const std::string& only) {
  Plan plan;
  plan.kernel = &find_kernel(host, package);
  for (const PackageTarget& target : plan.kernel->targets) {
    if (target.name == "vmlinux") {
      plan.targets.push_back(&target);
      continue;
    }
    const bool is_there = host.is_module_live(target.name) ||
                          (target.name == only && host.is_module_coming(target.name));
    // Beside the only one there is what is patched already.
    const bool is_wanted =
        only.empty() || target.name == only || host.is_module_loaded(target.module);
    if (!is_there || !is_wanted) {
      plan.skipped.push_back(target.name);
      continue;
    }
    std::string build_id = host.module_build_id(target.name);
    if (!target.cold_file.empty() && build_id == target.cold_build_id) {
      plan.cold.push_back(target.name);
      continue;
    }
    if (build_id != target.build_id)
      refuse("wrong_module", target.name,
             fmt::format("the loaded module {} is not the one that the update was made for",
                         target.name),
             "build id " + target.build_id,
             build_id.empty() ? "no build id" : "build id " + build_id,
             "load the module that belongs to the kernel, or create the update for this one");
    plan.targets.push_back(&target);
  }
  leave_out_users(*plan.kernel, partial, plan);
  for (const PackageTarget* target : plan.targets)
    for (const PackageLower& lower : target->stands_on)
      check_lower(host, package.id, *target, lower);
  bool some = !plan.targets.empty() || !plan.cold.empty();
  if (plan.skipped.empty() || (partial && some)) return plan;
  std::string names;
  for (const std::string& name : plan.skipped) names += (names.empty() ? "" : ", ") + name;
  refuse("target_not_loaded", package.id,
         fmt::format("{}: {}", explain_abort("target_not_loaded", Action::Apply).message, names),
         "", "",
         !some ? fmt::format("nothing else is to be patched; load it first: {}", names)
               : explain_abort("target_not_loaded", Action::Apply).advice);
}

std::vector<std::string> late_targets(const Host& host, const Package& package) {
  std::vector<std::string> late;
  std::string build_id = host.build_id();
  std::set<std::string> applied;  // update modules
  if (std::optional<UpdateState> state = read_update(host, package.id))
    for (const TargetState& target : state->targets)
      if (target.state == "applied") applied.insert(target.module);
  for (const PackageKernel& kernel : package.kernels) {
    if (kernel.build_id != build_id) continue;
    for (const PackageTarget& target : kernel.targets)
      if (target.name != "vmlinux" && host.is_module_live(target.name) &&
          !applied.contains(target.module) &&
          (target.cold_file.empty() || host.module_build_id(target.name) != target.cold_build_id))
        late.push_back(target.name);
  }
  return late;
}

std::vector<std::string> patched_targets(const Host& host, const Package& package) {
  std::vector<std::string> patched;
  std::string build_id = host.build_id();
  for (const PackageKernel& kernel : package.kernels)
    for (const PackageTarget& target : kernel.targets)
      if (kernel.build_id == build_id && !target.cold_file.empty() &&
          host.is_module_loaded(target.name) &&
          host.module_build_id(target.name) == target.cold_build_id)
        patched.push_back(target.name);
  return patched;
}

std::vector<std::string> extract_modules(const Host& host, const Package& package,
                                         const std::string& folder) {
  check_trust(host, package, Occasion::Apply);
  std::vector<std::string> paths;
  for (const PackageTarget& target : find_kernel(host, package).targets) {
    if (target.cold_file.empty()) continue;
    std::filesystem::create_directories(folder);
    paths.push_back((std::filesystem::path(folder) / (target.name + ".ko")).string());
    write_file(paths.back(), package.files.at(target.cold_file));
  }
  if (paths.empty())
    throw Error("no_modules", fmt::format("update {} has no whole modules in it", package.id),
                "create it with --build-modules; vmlinux never needs them");
  return paths;
}

CoreState judge_core(const Host& host, const Package& package, const PackageKernel& kernel) {
  if (!host.is_module_loaded(CoreModule)) return CoreState::Absent;
  const std::string here = host.module_build_id(CoreModule);
  const std::string given = module_build_id(package.files.at(kernel.core_file));
  if (!here.empty() && here == given) return CoreState::Same;
  const std::vector<std::string> users = host.module_users(CoreModule);
  if (users.empty()) return CoreState::Idle;
  refuse("wrong_core", package.id,
         fmt::format(
             "the loaded kernel part {} is another build than the one of the update, and {} it",
             CoreModule, users.size() == 1 ? users[0] + " uses" : "others use"),
         "build id " + given, here.empty() ? "no build id" : "build id " + here,
         "undo the updates that ksplice-view lists, and make them again with this version of "
         "ksplice-create; what "
         "an undo keeps in memory goes with the next boot");
}

LoadedModule finalize_core(const Host& host, const Package& package, const PackageKernel& kernel) {
  return {"ksplice", finalize(host, package, kernel.core_file, kernel.core_final)};
}

LoadedModule finalize_target(const Host& host, const Package& package, const PackageTarget& target,
                             size_t count) {
  return {target.module, set_object_count(finalize(host, package, target.file, target.final),
                                          static_cast<uint32_t>(count))};
}

}  // namespace ksplice
