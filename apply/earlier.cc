#include "apply/earlier.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <set>

#include "apply/abort_codes.h"
#include "apply/store.h"
#include "objdiff/base/error.h"
#include "objdiff/update/finalize.h"

namespace ksplice {

// What the core could not give up with a target that was gone before it was loaded is in the way
// when this comes again.
void check_no_orphans(const Host& host, const Plan& plan, const UpdateState& state) {
  std::set<std::string> applied;
  for (const TargetState& target : state.targets)
    if (target.state == "applied") applied.insert(target.module);
  for (const PackageTarget* target : plan.targets) {
    if (applied.contains(target->module) || !host.is_module_loaded(target->module)) continue;
    Refusal refusal;
    refusal.code = "module_busy";
    refusal.object = target->name;
    refusal.message = fmt::format(
        "module {}, which was made for {} when that was loaded before, stays in memory, as it may "
        "be in use",
        target->module, target->name);
    refusal.advice = fmt::format("{} can be patched after the next boot", target->name);
    throw Refused({refusal});
  }
}

// Two updates of one id must be the same update, or nobody knows which one is meant.
void check_same_update(const Host& host, const Package& package) {
  std::string copy = find_copy(host, package.id);
  if (copy.empty()) return;
  try {
    if (read_package(copy).files == package.files) return;
  } catch (const Error&) {
    return;  // a damaged copy proves nothing; it will be written anew
  }
  Refusal refusal;
  refusal.code = "id_in_use";
  refusal.object = package.id;
  refusal.message = "another update with the same id is in the kernel";
  refusal.found = copy;
  refusal.advice = "undo that one first, or create this one with another --id";
  throw Refused({refusal});
}

// What an undo has kept in memory can be applied again, if it is the same build.
void check_same_kept(const Host& host, const Package& package, const PackageKernel& kernel,
                     const UpdateState& state) {
  for (const PackageTarget& target : kernel.targets)
    for (const TargetState& kept : state.targets) {
      if (!kept.is_kept() || kept.module != target.module) continue;
      std::string here = host.module_build_id(kept.module);
      std::string given = module_build_id(package.files.at(target.file));
      if (!here.empty() && here == given) continue;
      Refusal refusal;
      refusal.code = "id_in_use";
      refusal.object = package.id;
      refusal.message = "another update with the same id was undone and stays in memory";
      refusal.expected = "build id " + given;
      refusal.found = "build id " + here;
      refusal.advice = "create this one with another --id";
      throw Refused({refusal});
    }
}

// A module that has the patch in it would keep it, and the update would be half undone. What was
// left out and is loaded as it was is not in the way.
void check_no_patched(const Host& host, const std::string& id) {
  std::string copy = find_copy(host, id);
  if (copy.empty()) return;
  std::vector<std::string> patched;
  try {
    patched = patched_targets(host, read_package(copy));
  } catch (const Error&) {
    return;  // a damaged copy tells nothing
  }
  if (patched.empty()) return;
  const AbortCode abort = explain_abort("cold_update_loaded", Action::Undo);
  Refusal refusal;
  refusal.code = "cold_update_loaded";
  refusal.object = id;
  refusal.message = fmt::format("{}: {}", abort.message, fmt::join(patched, " "));
  refusal.advice = abort.advice;
  throw Refused({refusal});
}

}  // namespace ksplice
