#include "create/gone_units.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "create/swap.h"

namespace ksplice {

namespace {

std::string target_of(const ConfiguredUnit& unit) {
  return unit.module.empty() ? "vmlinux" : unit.module;
}

void refuse(const std::string& source, const std::string& how, Affected& affected) {
  Refusal& refusal = affected.refusals.emplace_back();
  refusal.code = "unsupported_file";
  refusal.object = source;
  refusal.message = fmt::format("with the patch, {} {}", source, how);
  refusal.advice = "leave the lists of the makefiles as they are for it";
}

void take_away(const ConfiguredUnit& unit, Affected& affected) {
  auto known = std::find_if(affected.units.begin(), affected.units.end(),
                            [&](const AffectedUnit& each) { return each.pre == unit.goal; });
  if (known != affected.units.end() && known->post != known->pre) return;  // it has another name
  affected.notes.push_back(
      fmt::format("{} of {} is gone: its running code stays", unit.goal, target_of(unit)));
  AffectedUnit gone{unit.goal, "", true, target_of(unit)};
  if (known != affected.units.end())
    *known = gone;
  else
    affected.units.push_back(gone);
}

}  // namespace

void compare_unit_lists(const std::map<std::string, ConfiguredUnit>& before,
                        const std::map<std::string, ConfiguredUnit>& after, Affected& affected) {
  std::set<std::string> added;
  for (const FileChange& change : affected.changes)
    if (change.kind == ChangeKind::Added || change.kind == ChangeKind::Renamed)
      added.insert(change.path);
  for (const auto& [source, unit] : before) {
    const auto now = after.find(source);
    if (now == after.end())
      take_away(unit, affected);
    else if (now->second.module != unit.module || now->second.goal != unit.goal)
      refuse(source,
             fmt::format("is a part of {} and no longer of {}", target_of(now->second),
                         target_of(unit)),
             affected);
  }
  for (const auto& [source, unit] : after)
    if (!before.contains(source) && !added.contains(source))
      refuse(source, fmt::format("is a part of {}, and no new file", target_of(unit)), affected);
}

UnitTable patched_units(const Kbuild& kbuild) {
  return UnitTable(kbuild, kbuild.obj / ".ksplice-patched-units");
}

void find_gone_units(UnitTable& table, Overlay& overlay, const Kbuild& kbuild, Affected& affected) {
  if (!affected.may_take_units) return;
  table.all();  // of the tree as it is
  swap_in(overlay, affected.changes);
  UnitTable patched = patched_units(kbuild);
  patched.all();
  swap_out(overlay, affected.changes);
  compare_unit_lists(table.all(), patched.all(), affected);
}

}  // namespace ksplice
